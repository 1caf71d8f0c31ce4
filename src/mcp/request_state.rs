//! Request states that travel through a client: signed, bound to what they belong to, short-lived.
//!
//! Knows no method: what is sealed and what it is bound to is the caller's.

use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::Sha256;

/// How long a state may be away.
const LIFETIME: Duration = Duration::from_secs(10 * 60);

/// Seals and opens states. The key is made at the start and never leaves the process.
pub struct Sealer {
    key: [u8; 32],
    /// Ages are measured from here, so that a clock that is set makes nothing older.
    issued: Instant,
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealer(…)")
    }
}

/// Why a state is not taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unsealed {
    /// Not what this server gave out, or for another request.
    #[error(
        "requestState is not the one that this server gave for this request; repeat the request without it"
    )]
    Foreign,
    /// Over its lifetime.
    #[error("requestState is older than {} minutes; repeat the request without it", LIFETIME.as_secs() / 60)]
    Expired,
}

#[derive(Serialize, Deserialize)]
struct Sealed<T> {
    /// Seconds after the server's start at which it ends.
    until: u64,
    state: T,
}

impl Sealer {
    /// A sealer with a key of its own.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn new() -> Result<Self, getrandom::Error> {
        let mut key = [0; 32];
        getrandom::fill(&mut key)?;
        Ok(Self {
            key,
            issued: Instant::now(),
        })
    }

    /// Seals `state`, for nothing but what `bound_to` says.
    ///
    /// # Panics
    /// When `state` cannot be written as JSON.
    pub fn seal(&self, state: &impl Serialize, bound_to: &[u8]) -> String {
        let until = (self.issued.elapsed() + LIFETIME).as_secs();
        let payload =
            serde_json::to_vec(&Sealed { until, state }).expect("states have string keys");
        let signature = self.sign(&payload, bound_to).finalize().into_bytes();
        format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(&payload),
            URL_SAFE_NO_PAD.encode(signature)
        )
    }

    /// The state that was sealed for `bound_to`.
    ///
    /// # Errors
    /// [`Unsealed`] for a state of another request, and for one that is too old.
    pub fn open<T: DeserializeOwned>(&self, state: &str, bound_to: &[u8]) -> Result<T, Unsealed> {
        let (payload, signature) = state.split_once('.').ok_or(Unsealed::Foreign)?;
        let payload = URL_SAFE_NO_PAD
            .decode(payload)
            .map_err(|_| Unsealed::Foreign)?;
        let signature = URL_SAFE_NO_PAD
            .decode(signature)
            .map_err(|_| Unsealed::Foreign)?;
        self.sign(&payload, bound_to)
            .verify_slice(&signature)
            .map_err(|_| Unsealed::Foreign)?;
        let sealed: Sealed<T> = serde_json::from_slice(&payload).map_err(|_| Unsealed::Foreign)?;
        if self.issued.elapsed().as_secs() > sealed.until {
            return Err(Unsealed::Expired);
        }
        Ok(sealed.state)
    }

    fn sign(&self, payload: &[u8], bound_to: &[u8]) -> Hmac<Sha256> {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes keys of any length");
        // The length goes first, so that no byte can wander from one part to the other.
        mac.update(&(bound_to.len() as u64).to_be_bytes());
        mac.update(bound_to);
        mac.update(payload);
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_opens_for_what_it_was_sealed_for_and_for_nothing_else() {
        let sealer = Sealer::new().unwrap();
        let held = vec!["Ada".to_owned(), "x".repeat(1_000)];
        let state = sealer.seal(&held, b"tool a");
        let open = |sealer: &Sealer, state: &str, bound_to: &[u8]| {
            sealer.open::<Vec<String>>(state, bound_to)
        };
        assert_eq!(open(&sealer, &state, b"tool a").unwrap(), held);
        assert_eq!(open(&sealer, &state, b"tool b"), Err(Unsealed::Foreign));
        let other = Sealer::new().unwrap();
        assert_eq!(open(&other, &state, b"tool a"), Err(Unsealed::Foreign));
        for tampered in [
            format!("{state}-TAMPERED"),
            format!("x{state}"),
            String::new(),
            ".".to_owned(),
            "é.é".to_owned(),
        ] {
            assert_eq!(
                open(&sealer, &tampered, b"tool a"),
                Err(Unsealed::Foreign),
                "{tampered}"
            );
        }
    }
}
