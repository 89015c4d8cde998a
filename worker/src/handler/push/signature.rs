//! Signatures, by which a receiver knows that a request is its own Leveret's, and of today.
//!
//! HMAC-SHA256 over the time, a dot and the body, in hexadecimal digits, beside that time. Two
//! secrets make two signatures, of which a receiver accepts either: so the secret can be changed
//! while tasks run.

use std::fmt::Write;

use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
use leveret_common::clock::Millis;

/// Signs the requests of a kind.
pub(super) struct Signer(Vec<Key>);

impl Signer {
    /// Creates one of any number of secrets; without one, nothing is signed.
    pub(super) fn new(secrets: &[String]) -> Self {
        Self(secrets.iter().map(|secret| Key::new(HMAC_SHA256, secret.as_bytes())).collect())
    }

    /// Returns the header of a request that is sent now: `t=1798794000,v1=5257a8…`.
    pub(super) fn sign(&self, now: Millis, body: &[u8]) -> Option<String> {
        if self.0.is_empty() {
            return None;
        }
        let time = now.0 / 1_000;
        let mut message = format!("{time}.").into_bytes();
        message.extend_from_slice(body);
        let mut header = format!("t={time}");
        for key in &self.0 {
            header.push_str(",v1=");
            for byte in sign(key, &message).as_ref() {
                // Writing to a String cannot fail.
                let _ = write!(header, "{byte:02x}");
            }
        }
        Some(header)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_that_of_the_standard_and_each_secret_has_its_own() {
        let secrets = ["sixteen-letters-".to_owned(), "another-sixteen!".to_owned()];
        let now = Millis(1_798_794_000_999);
        let one = Signer::new(&secrets[..1]).sign(now, b"{\"order\":7}").unwrap();
        // printf '1798794000.{"order":7}' | openssl dgst -sha256 -hmac sixteen-letters-
        let digits = "ed37ebe23f6ba89da2d1d5eb4d0368b047c77bfaacf2eefc8d56d8dc6081a037";
        assert_eq!(one, format!("t=1798794000,v1={digits}"));
        let both = Signer::new(&secrets).sign(now, b"{\"order\":7}").unwrap();
        assert!(both.starts_with(&format!("{one},v1=")), "{both}");
        assert_eq!(both.len(), one.len() + ",v1=".len() + 64);
        assert_eq!(Signer::new(&[]).sign(now, b""), None);
    }
}
