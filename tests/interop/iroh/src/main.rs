//! A foreign peer for the QUIC endpoint's tests, built against two generations of iroh.
//!
//! `peer serve SEED ALPN[,ALPN…]` listens on 127.0.0.1, prints `ready ID IP:PORT`, and obeys the
//! first line of every bidirectional stream; unidirectional streams come back on one of its own.
//! `peer dial SEED ID IP:PORT ALPN TEST N` connects, runs one test and prints `ok` or why not.
//! Every fact that a test looks at is one line on stdout.

use std::net::SocketAddr;

use iroh::endpoint::{Builder, Connection, RecvStream, SendStream, VarInt};
use iroh::{Endpoint, EndpointAddr, PublicKey, RelayMode, SecretKey, TransportAddr};

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

const LARGEST_UNI_STREAM: usize = 1 << 20;

fn bytes32(hex: &str) -> Outcome<[u8; 32]> {
    let mut out = [0u8; 32];
    if hex.len() != 64 {
        return Err("expected 64 hex digits".into());
    }
    for (i, byte) in out.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&hex[2 * i..2 * i + 2], 16)?;
    }
    Ok(out)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(feature = "v97")]
fn builder() -> Builder {
    Endpoint::empty_builder().relay_mode(RelayMode::Disabled)
}

#[cfg(feature = "v1")]
fn builder() -> Builder {
    Endpoint::builder(iroh::endpoint::presets::Minimal).relay_mode(RelayMode::Disabled)
}

async fn bind(seed: &str, alpns: Vec<Vec<u8>>) -> Outcome<Endpoint> {
    let key = SecretKey::from_bytes(&bytes32(seed)?);
    let address: SocketAddr = "127.0.0.1:0".parse()?;
    Ok(builder().secret_key(key).alpns(alpns).clear_ip_transports().bind_addr(address)?.bind().await?)
}

fn pattern(n: usize) -> Vec<u8> {
    (0..n).map(|i| (i * 31 % 251) as u8).collect()
}

async fn first_line(recv: &mut RecvStream) -> Outcome<String> {
    let mut line = Vec::new();
    let mut byte = [0u8; 1];
    loop {
        recv.read_exact(&mut byte).await?;
        if byte[0] == b'\n' {
            return Ok(String::from_utf8(line)?);
        }
        line.push(byte[0]);
    }
}

async fn obey(conn: Connection, mut send: SendStream, mut recv: RecvStream) -> Outcome<()> {
    let line = first_line(&mut recv).await?;
    let (word, number) = line.split_once(' ').unwrap_or((&line, "0"));
    let code = VarInt::from_u32(number.parse()?);
    match word {
        "echo" => {
            let mut buffer = vec![0u8; 65536];
            while let Some(n) = recv.read(&mut buffer).await? {
                send.write_all(&buffer[..n]).await?;
            }
            send.finish()?;
        }
        "close" => conn.close(code, b"peer says bye"),
        "reset" => send.reset(code)?,
        "stop" => {
            recv.stop(code)?;
            send.write_all(b"stopped").await?;
            send.finish()?;
        }
        // Reports the code with which the other side ends our sending half.
        "await-stop" => {
            send.write_all(b"waiting").await?;
            println!("stopped {:?}", send.stopped().await?.map(|c| c.into_inner()));
        }
        "await-reset" => {
            send.write_all(b"waiting").await?;
            let mut buffer = [0u8; 1024];
            loop {
                match recv.read(&mut buffer).await {
                    Ok(Some(_)) => {}
                    Ok(None) => break println!("reset none"),
                    Err(error) => break println!("reset {error:?}"),
                }
            }
        }
        other => println!("unknown command {other}"),
    }
    Ok(())
}

async fn return_uni_streams(conn: Connection) {
    while let Ok(mut recv) = conn.accept_uni().await {
        let Ok(data) = recv.read_to_end(LARGEST_UNI_STREAM).await else { continue };
        let Ok(mut send) = conn.open_uni().await else { return };
        if send.write_all(&data).await.is_ok() {
            let _ = send.finish();
        }
    }
}

async fn serve_connection(conn: Connection) {
    println!("accepted {} {}", hex(conn.remote_id().as_bytes()), String::from_utf8_lossy(conn.alpn()));
    tokio::spawn(return_uni_streams(conn.clone()));
    loop {
        match conn.accept_bi().await {
            Ok((send, recv)) => {
                let conn = conn.clone();
                tokio::spawn(async move {
                    if let Err(error) = obey(conn, send, recv).await {
                        println!("stream ended: {error}");
                    }
                });
            }
            Err(error) => return println!("closed {error:?}"),
        }
    }
}

async fn serve(seed: &str, alpns: &str) -> Outcome<()> {
    let alpns = alpns.split(',').map(|a| a.as_bytes().to_vec()).collect();
    let endpoint = bind(seed, alpns).await?;
    println!("ready {} {}", hex(endpoint.id().as_bytes()), endpoint.bound_sockets()[0]);
    while let Some(incoming) = endpoint.accept().await {
        tokio::spawn(async move {
            match incoming.await {
                Ok(conn) => serve_connection(conn).await,
                Err(error) => println!("handshake failed: {error:?}"),
            }
        });
    }
    Ok(())
}

async fn echo(conn: &Connection, n: usize) -> Outcome<()> {
    let (mut send, mut recv) = conn.open_bi().await?;
    let data = pattern(n);
    let sent = data.clone();
    let writer = tokio::spawn(async move {
        send.write_all(b"echo\n").await?;
        send.write_all(&sent).await?;
        send.finish()?;
        send.stopped().await.map(|_| ()).map_err(Box::<dyn std::error::Error + Send + Sync>::from)
    });
    let got = recv.read_to_end(n + 1).await?;
    writer.await??;
    if got != data { Err(format!("echo of {n} bytes came back as {}", got.len()).into()) } else { Ok(()) }
}

async fn run_test(conn: &Connection, test: &str, n: usize) -> Outcome<()> {
    match test {
        "echo" => echo(conn, n).await,
        "many" => {
            for _ in 0..n {
                echo(conn, 5).await?;
            }
            Ok(())
        }
        "uni" => {
            let data = pattern(n);
            let mut send = conn.open_uni().await?;
            send.write_all(&data).await?;
            send.finish()?;
            let got = conn.accept_uni().await?.read_to_end(n + 1).await?;
            if got != data { Err("the unidirectional stream came back changed".into()) } else { Ok(()) }
        }
        // Like heartbeats: n streams, one after the other, each returned.
        "unis" => {
            for _ in 0..n {
                let mut send = conn.open_uni().await?;
                send.write_all(b"beat").await?;
                send.finish()?;
                if conn.accept_uni().await?.read_to_end(10).await? != b"beat" {
                    return Err("a heartbeat came back changed".into());
                }
            }
            Ok(())
        }
        // The other side closes with code n; the reason is printed.
        "close" => {
            let (mut send, _recv) = conn.open_bi().await?;
            send.write_all(format!("close {n}\n").as_bytes()).await?;
            println!("closed {:?}", conn.closed().await);
            Ok(())
        }
        // The other side resets the stream it answers on.
        "reset" => {
            let (mut send, mut recv) = conn.open_bi().await?;
            send.write_all(format!("reset {n}\n").as_bytes()).await?;
            println!("reset {:?}", recv.read_to_end(1000).await.err());
            Ok(())
        }
        // The other side stops reading what we send.
        "stop" => {
            let (mut send, _recv) = conn.open_bi().await?;
            send.write_all(format!("stop {n}\n").as_bytes()).await?;
            println!("stopped {:?}", send.stopped().await?.map(|c| c.into_inner()));
            Ok(())
        }
        other => Err(format!("unknown test {other}").into()),
    }
}

async fn dial(seed: &str, id: &str, address: &str, alpn: &str, test: &str, n: &str) -> Outcome<()> {
    let endpoint = bind(seed, vec![]).await?;
    let target = EndpointAddr::from_parts(
        PublicKey::from_bytes(&bytes32(id)?)?,
        [TransportAddr::Ip(address.parse()?)],
    );
    match endpoint.connect(target, alpn.as_bytes()).await {
        Ok(conn) => {
            println!("connected {} {}", hex(conn.remote_id().as_bytes()), String::from_utf8_lossy(conn.alpn()));
            match run_test(&conn, test, n.parse()?).await {
                Ok(()) => println!("ok"),
                Err(error) => println!("failed: {error} {error:?}"),
            }
            conn.close(VarInt::from_u32(42), b"the dialler is done");
        }
        Err(error) => println!("connect failed: {error:?}"),
    }
    endpoint.close().await;
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["serve", seed, alpns] => serve(seed, alpns).await,
        ["dial", seed, id, address, alpn, test, n] => dial(seed, id, address, alpn, test, n).await,
        _ => Err("usage: serve SEED ALPNS | dial SEED ID ADDRESS ALPN TEST N".into()),
    }
}
