//! The state as it stands in its file.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{State, StateError, seconds_since_1970};

pub(super) const VERSION: u32 = 2;

#[derive(Deserialize)]
struct Stamp {
    version: u32,
}

#[derive(Serialize, Deserialize)]
struct Document {
    version: u32,
    #[serde(flatten)]
    state: State,
}

/// What a file tells, but for toggles whose time is over.
pub(super) fn parse(path: &Path, text: &[u8]) -> Result<State, StateError> {
    let broken = |source| StateError::Broken {
        path: path.to_owned(),
        source,
    };
    // The version alone first: the rest of a later one may look otherwise.
    let Stamp { version } = serde_json::from_slice(text).map_err(broken)?;
    if version > VERSION {
        return Err(StateError::Later {
            path: path.to_owned(),
            found: version,
        });
    }
    let document: Document = serde_json::from_slice(text).map_err(broken)?;
    let mut state = document.state;
    // The kernel has ended them by itself.
    let now = seconds_since_1970();
    state.overrides.retain(|toggle| !toggle.is_over(now));
    Ok(state)
}

/// The text of a file that tells a state.
pub(super) fn write(path: &Path, state: &State) -> Result<Vec<u8>, StateError> {
    let document = Document {
        version: VERSION,
        state: state.clone(),
    };
    serde_json::to_vec_pretty(&document).map_err(|source| StateError::Broken {
        path: path.to_owned(),
        source,
    })
}
