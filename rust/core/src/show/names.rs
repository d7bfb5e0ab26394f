//! Names of the interfaces that frames of `-i any` come through, which the frames do not tell.

use std::collections::HashMap;

/// Who knows them: capture point (its place in the batch) and index of the interface in that point's namespace.
pub type Ask = Box<dyn Fn(u32, u32) -> Option<String> + Send + Sync>;

/// Names by point and index. Who knows them is asked for every frame, since interfaces are renamed and come again; of one that
/// has gone the last name stands.
#[derive(Default)]
pub struct Names {
    ask: Option<Ask>,
    last: HashMap<(u32, u32), String>,
}

/// Names that are kept: a namespace in which interfaces come and go never ends with them.
const MOST: usize = 4096;

impl Names {
    /// Those that `ask` knows.
    #[must_use]
    pub fn new(ask: Ask) -> Self {
        Self { ask: Some(ask), last: HashMap::new() }
    }

    /// The name of an interface, if anybody knows it.
    pub fn of(&mut self, point: u32, index: u32) -> Option<&str> {
        let ask = self.ask.as_ref()?;
        if let Some(name) = ask(point, index) {
            if self.last.len() >= MOST {
                self.last.clear();
            }
            self.last.insert((point, index), name);
        }
        self.last.get(&(point, index)).map(String::as_str)
    }
}

impl std::fmt::Debug for Names {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Names").field(&self.last).finish()
    }
}
