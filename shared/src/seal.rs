//! Sealing what lies on a disk or in a row: ChaCha20-Poly1305 under a key from a file (0600).
//!
//! A sealed text is nonce (12 bytes), then ciphertext and tag; *what it belongs to* is associated
//! data, so that a sealed value cannot be moved to another place. Called by [`crate::pki`].

use anyhow::{Context, bail};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

const KEY_LEN: usize = 32;

/// A key in memory; it is never printed.
pub struct Key(LessSafeKey);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str("Key(…)")
    }
}

impl Key {
    /// Reads the key file; makes it, with a random key and mode 0600, if there is none.
    ///
    /// # Errors
    /// The file cannot be read or made, is readable by others, or is not 32 bytes.
    pub fn read_or_make(path: &Path) -> anyhow::Result<Key> {
        match fs::File::open(path) {
            Ok(file) => Key::read(file).with_context(|| format!("the key file {}", path.display())),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let mut bytes = [0; KEY_LEN];
                getrandom::fill(&mut bytes).context("no random bytes from the system")?;
                write_private(path, &bytes)?;
                Key::of(&bytes)
            }
            Err(error) => Err(error).with_context(|| format!("the key file {}", path.display())),
        }
    }

    fn read(file: fs::File) -> anyhow::Result<Key> {
        let mode = file.metadata()?.permissions().mode();
        if mode & 0o077 != 0 {
            bail!("others may read it (mode {:o}): chmod 600 it", mode & 0o777);
        }
        let mut bytes = Vec::new();
        file.take(KEY_LEN as u64 + 1).read_to_end(&mut bytes)?;
        Key::of(&bytes)
    }

    fn of(bytes: &[u8]) -> anyhow::Result<Key> {
        match UnboundKey::new(&CHACHA20_POLY1305, bytes) {
            Ok(key) => Ok(Key(LessSafeKey::new(key))),
            Err(_) => bail!("it has {} bytes, not {KEY_LEN}: it is no key", bytes.len()),
        }
    }

    /// # Errors
    /// The system has no random bytes.
    pub fn seal(&self, plain: &[u8], belongs_to: &str) -> anyhow::Result<Vec<u8>> {
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce).context("no random bytes from the system")?;
        let mut sealed = plain.to_vec();
        self.0
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(belongs_to.as_bytes()),
                &mut sealed,
            )
            .map_err(|_| anyhow::anyhow!("too long to be sealed"))?;
        Ok([&nonce[..], &sealed].concat())
    }

    /// # Errors
    /// It was sealed with another key, belongs elsewhere, or is damaged.
    pub fn open(&self, sealed: &[u8], belongs_to: &str) -> anyhow::Result<Vec<u8>> {
        let wrong = || anyhow::anyhow!("sealed with another key, or damaged");
        let (nonce, rest) = sealed.split_first_chunk::<NONCE_LEN>().ok_or_else(wrong)?;
        let mut rest = rest.to_vec();
        let aad = Aad::from(belongs_to.as_bytes());
        let plain = self
            .0
            .open_in_place(Nonce::assume_unique_for_key(*nonce), aad, &mut rest)
            .map_err(|_| wrong())?;
        Ok(plain.to_vec())
    }
}

/// Writes a file that only its owner may read: beside it first, then renamed over it.
///
/// # Errors
/// It cannot be written.
pub fn write_private(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let beside = path.with_extension("new");
    let write = || -> std::io::Result<()> {
        match fs::remove_file(&beside) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file =
            fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&beside, path)
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_key_and_place_open_it() {
        let dir = tempfile::tempdir().unwrap();
        let key = Key::read_or_make(&dir.path().join("a")).unwrap();
        let again = Key::read_or_make(&dir.path().join("a")).unwrap();
        let other = Key::read_or_make(&dir.path().join("b")).unwrap();
        let mut sealed = key.seal(b"text", "here").unwrap();
        assert_eq!(again.open(&sealed, "here").unwrap(), b"text");
        assert!(again.open(&sealed, "there").is_err());
        assert!(other.open(&sealed, "here").is_err());
        sealed[14] ^= 1;
        assert!(key.open(&sealed, "here").is_err());
        assert!(key.open(b"short", "here").is_err());
    }

    #[test]
    fn a_key_that_others_may_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        Key::read_or_make(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let error = format!("{:#}", Key::read_or_make(&path).unwrap_err());
        assert!(error.contains("chmod 600"), "{error}");
    }
}
