//! The command language is in oracle.rs.
#[path = "../../oracle.rs"]
mod oracle;

/// What only 0.12 has.
mod generation {
    use automerge::{hydrate, sync, AutoCommit, ObjId, Prop};

    type Reply = Result<String, String>;

    fn none() -> Reply {
        Err("0.7 has no such thing".into())
    }

    pub fn create(_: &mut AutoCommit, _: &ObjId, _: Prop, _: &hydrate::Value, _: bool) -> Reply {
        none()
    }

    pub fn init_root(_: &mut AutoCommit, _: &hydrate::Map) -> Reply {
        none()
    }

    pub fn set_read_only(_: &mut sync::State, _: bool) -> Reply {
        none()
    }
}

fn main() {
    oracle::main();
}
