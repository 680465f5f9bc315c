//! The command language is in oracle.rs.
#[path = "../../oracle.rs"]
mod oracle;

/// What 0.7 has not.
mod generation {
    use automerge::transaction::Transactable;
    use automerge::{hydrate, sync, AutoCommit, ObjId, Prop};

    type Reply = Result<String, String>;

    pub fn create(
        doc: &mut AutoCommit,
        id: &ObjId,
        prop: Prop,
        value: &hydrate::Value,
        insert: bool,
    ) -> Reply {
        let made = doc.batch_create_object(id, prop, value, insert);
        made.map(|id| id.to_string()).map_err(|error| error.to_string())
    }

    pub fn init_root(doc: &mut AutoCommit, value: &hydrate::Map) -> Reply {
        let done = doc.init_root_from_hydrate(value);
        done.map(|()| String::new()).map_err(|error| error.to_string())
    }

    pub fn set_read_only(state: &mut sync::State, on: bool) -> Reply {
        state.set_read_only(on);
        Ok(String::new())
    }
}

fn main() {
    oracle::main();
}
