//! Settings of the governor: the profiles, read whole.

use super::given::Origin;
use super::reader::Reader;
use crate::governor::{Error, FULL, Profiles, Settings};

/// The profiles; with a fault noted, those that exist without any setting.
pub(super) fn read(reader: &mut Reader) -> Profiles {
    let mut settings = Settings {
        profiles: reader.path("SMCP_PROFILES"),
        attach_profile: reader.text("SMCP_ATTACH_PROFILE"),
        admin_prefix: reader.text("SMCP_ADMIN_PREFIX"),
    };
    let mut loaded = Profiles::load(&settings);
    if let Err(unknown @ Error::UnknownStart { .. }) = &loaded {
        // As version 3 did: a profile only shortens the list, so nothing is opened that was closed.
        if let Some(Origin::File(line)) = reader.origin("SMCP_ATTACH_PROFILE") {
            reader.faults.push(format!("{line}: {unknown}"));
        } else {
            reader
                .mistakes
                .push(format!("{unknown}; clients start with '{FULL}'"));
        }
        reader.counts_as("SMCP_ATTACH_PROFILE", FULL);
        settings.attach_profile = Some(FULL.to_owned());
        loaded = Profiles::load(&settings);
    }
    loaded.unwrap_or_else(|error| {
        reader.faults.push(error.to_string());
        Profiles::default()
    })
}
