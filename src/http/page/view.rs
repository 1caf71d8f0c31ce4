//! Whose calls somebody may see on the page, and stop. Knows no route.

use crate::http::auth::{self, Identity};
use crate::mcp::principal::KeyId;
use crate::telemetry::Tail;

/// Settings of the page.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// `MCP_UI_ADMINS`: which of several keys see everybody's calls and the log.
    pub admins: Vec<[u8; 4]>,
    /// The last lines of the log.
    pub log: Tail,
}

/// Whose calls somebody may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// Everybody's, and the log.
    All,
    /// Those of this key; without one, those that were made without a key.
    Own(Option<KeyId>),
}

impl View {
    /// Everything for whoever calls a server that needs no key, for the only key, and for keys that the settings
    /// name; for all others their own calls.
    pub fn of(identity: &Identity, auth: &auth::Settings, settings: &Settings) -> Self {
        if auth.disabled || auth.keys.is_empty() {
            return Self::All;
        }
        match identity.principal.key {
            Some(key) if auth.keys.len() == 1 || settings.admins.contains(&key.label()) => {
                Self::All
            }
            own => Self::Own(own),
        }
    }

    /// Whether it has what was asked for with `key`.
    pub fn has(self, key: Option<KeyId>) -> bool {
        match self {
            Self::All => true,
            Self::Own(own) => own == key,
        }
    }

    /// Its name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Own(_) => "own",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::auth::AuthStatus;
    use crate::mcp::principal::Principal;

    fn view(keys: &[&str], shown: Option<&str>, disabled: bool, admins: &[&str]) -> View {
        let id = |key: &&str| KeyId::of(key.as_bytes());
        let auth = auth::Settings {
            keys: keys.iter().map(id).collect::<Vec<_>>().into(),
            loopback_exempt: true,
            disabled,
        };
        let settings = Settings {
            admins: admins.iter().map(|key| id(key).label()).collect(),
            ..Settings::default()
        };
        let identity = Identity {
            principal: Principal {
                key: shown.as_ref().map(id),
                ..Principal::default()
            },
            status: AuthStatus::Exempt,
            loopback: true,
        };
        View::of(&identity, &auth, &settings)
    }

    #[test]
    fn everything_is_for_who_runs_the_server_and_the_own_for_all_others() {
        let a = Some(KeyId::of(b"a"));
        for (keys, shown, disabled, admins, expected) in [
            (&[][..], None, false, &[][..], View::All),
            (&["a"], Some("a"), false, &[], View::All),
            (&["a", "b"], None, true, &[], View::All),
            (&["a", "b"], Some("a"), false, &[], View::Own(a)),
            (&["a", "b"], Some("a"), false, &["b"], View::Own(a)),
            (&["a", "b"], Some("b"), false, &["b"], View::All),
            // Needs no key because it is on this machine: so are the plugins.
            (&["a"], None, false, &["a"], View::Own(None)),
        ] {
            let seen = view(keys, shown, disabled, admins);
            assert_eq!(seen, expected, "{keys:?} {shown:?} {disabled} {admins:?}");
        }
        assert!(View::All.has(a) && View::All.has(None));
        assert!(View::Own(a).has(a) && !View::Own(a).has(None));
        assert!(!View::Own(None).has(a));
    }
}
