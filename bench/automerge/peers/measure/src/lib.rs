//! What the measured programs share: the inputs, the clock, the memory figures, the output.
//!
//! A program is called `PROGRAM ROW INPUTS` and prints `name value` lines: `ms` (process CPU, best
//! of `runs`), `heap` (bytes in use that the work left behind), `peak` (KiB of resident memory
//! above what was there before), and what the row adds (`bytes`, `digest`). A row that an engine has no
//! counterpart for prints nothing.

use std::sync::LazyLock;
use std::time::Instant;

/// One edit of the trace: position, characters deleted there, text inserted there.
pub struct Edit {
    pub at: usize,
    pub delete: usize,
    pub insert: String,
}

pub fn input(file: &str) -> std::path::PathBuf {
    std::path::PathBuf::from(std::env::args().nth(2).expect("PROGRAM ROW INPUTS")).join(file)
}

pub fn row() -> String {
    std::env::args().nth(1).expect("PROGRAM ROW INPUTS")
}

pub fn read(file: &str) -> Vec<u8> {
    std::fs::read(input(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// `edits.txt`: a line each, `position deleted hex-of-inserted`.
pub fn edits() -> Vec<Edit> {
    let text = String::from_utf8(read("edits.txt")).expect("edits.txt is text");
    text.lines()
        .map(|line| {
            let mut words = line.split(' ');
            let mut next = || words.next().expect("three words");
            let (at, delete, hex) = (next(), next(), next());
            let bytes = (0..hex.len() / 2).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16));
            Edit {
                at: at.parse().expect("a position"),
                delete: delete.parse().expect("a count"),
                insert: String::from_utf8(bytes.map(|b| b.expect("hex")).collect()).expect("UTF-8"),
            }
        })
        .collect()
}

pub const DOCUMENTS: usize = 10_000;

/// A small document: sixteen strings, and beside them a counter, a position and four tags.
pub fn strings_of(document: usize) -> &'static [(String, String)] {
    static ALL: LazyLock<Vec<Vec<(String, String)>>> = LazyLock::new(|| {
        let tail = "abcdefghijklmnopqrstuvwxyz0123456";
        let value = |n: usize, k: usize| format!("value-{n:06}-{k:02}-{tail}");
        let fields = |n| (0..16).map(|k| (format!("field_{k:02}"), value(n, k))).collect();
        (0..DOCUMENTS).map(fields).collect()
    });
    &ALL[document]
}

pub const TAGS: [&str; 4] = ["tag0", "tag1", "tag2", "tag3"];

pub fn latitude(document: usize) -> f64 {
    38.1 + document as f64 * 1e-5
}

pub fn keys(n: usize) -> Vec<String> {
    (0..n).map(|i| format!("key-{i:06}")).collect()
}

fn cpu_ms() -> f64 {
    let mut t = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut t) };
    t.tv_sec as f64 * 1e3 + t.tv_nsec as f64 / 1e6
}

fn heap() -> i64 {
    let info = unsafe { libc::mallinfo2() };
    (info.uordblks + info.hblkhd) as i64
}

fn status_kib(name: &str) -> i64 {
    let text = std::fs::read_to_string("/proc/self/status").expect("procfs");
    let line = text.lines().find(|line| line.starts_with(name)).expect("a memory figure");
    line.split_whitespace().nth(1).and_then(|word| word.parse().ok()).expect("a number")
}

/// Runs `work` on what `setup` makes, at most five times and for about eight seconds, and prints
/// the figures. Memory is that of the first run.
pub fn measure<S, R>(mut setup: impl FnMut() -> S, mut work: impl FnMut(&mut S) -> R) -> (S, R) {
    strings_of(0); // the inputs are no part of the work
    let begin = Instant::now();
    let mut best = f64::MAX;
    let mut runs = 0;
    loop {
        let mut subject = setup();
        unsafe { libc::malloc_trim(0) };
        let (heap_before, resident) = (heap(), status_kib("VmRSS:"));
        if runs == 0 {
            let _ = std::fs::write("/proc/self/clear_refs", "5");
        }
        let start = cpu_ms();
        let result = work(&mut subject);
        best = best.min(cpu_ms() - start);
        if runs == 0 {
            println!("heap {}", heap() - heap_before);
            println!("peak {}", status_kib("VmHWM:") - resident);
        }
        runs += 1;
        let spent = begin.elapsed().as_secs_f64();
        if runs == 5 || spent + spent / f64::from(runs) > 8.0 {
            println!("ms {best:.4}\nruns {runs}");
            return (subject, result);
        }
    }
}

pub fn say(name: &str, value: impl std::fmt::Display) {
    println!("{name} {value}");
}

/// FNV-1a over all pieces: equal output of two engines has equal digests.
pub fn digest<B: AsRef<[u8]>>(pieces: impl IntoIterator<Item = B>) {
    let mut hash = 0xcbf29ce484222325u64;
    for piece in pieces {
        for byte in piece.as_ref() {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x100000001b3);
        }
    }
    println!("digest {hash:016x}");
}
