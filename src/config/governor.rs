//! Settings of the governor: the profiles, read whole.

use std::path::PathBuf;

use super::reader::Reader;
use crate::governor::{Profiles, Settings};

/// The profiles; with a fault noted, those that exist without any setting.
pub(super) fn read(reader: &mut Reader) -> Profiles {
    let settings = Settings {
        profiles: reader.text("SMCP_PROFILES").map(PathBuf::from),
        attach_profile: reader.text("SMCP_ATTACH_PROFILE"),
        admin_prefix: reader.text("SMCP_ADMIN_PREFIX"),
    };
    Profiles::load(&settings).unwrap_or_else(|error| {
        reader.faults.push(error.to_string());
        Profiles::default()
    })
}
