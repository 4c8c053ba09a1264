//! The wire's codec: MessagePack with the *names* of fields and variants.
//!
//! An added field (`#[serde(default)]`) and an inserted method are understood by an older side;
//! positional codecs would take one method for another. The supervisor's socket uses it too.

use bytes::{Bytes, BytesMut};
use serde::{Serialize, de::DeserializeOwned};
use std::{io, marker::PhantomData, pin::Pin};

/// For tokio-serde: reads `In`, writes `Out`.
#[derive(Debug)]
pub struct NamedMessagePack<In, Out>(PhantomData<fn() -> (In, Out)>);

impl<In, Out> Default for NamedMessagePack<In, Out> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

/// One value as the wire writes it.
///
/// # Errors
/// The value cannot be written: a map with keys that are no text, or its own `Serialize` failed.
pub fn encode<T: Serialize>(value: &T) -> io::Result<Vec<u8>> {
    rmp_serde::to_vec_named(value).map_err(io::Error::other)
}

/// One value as the wire reads it.
///
/// # Errors
/// The bytes are not such a value.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> io::Result<T> {
    rmp_serde::from_slice(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

impl<In: DeserializeOwned, Out> tokio_serde::Deserializer<In> for NamedMessagePack<In, Out> {
    type Error = io::Error;

    fn deserialize(self: Pin<&mut Self>, bytes: &BytesMut) -> io::Result<In> {
        decode(bytes)
    }
}

impl<In, Out: Serialize> tokio_serde::Serializer<Out> for NamedMessagePack<In, Out> {
    type Error = io::Error;

    fn serialize(self: Pin<&mut Self>, item: &Out) -> io::Result<Bytes> {
        encode(item).map(Bytes::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Serialize)]
    enum New {
        Added { x: u32 },
        Call { name: String, more: u32 },
    }

    #[derive(Debug, PartialEq, Deserialize)]
    enum Old {
        Call { name: String },
    }

    #[test]
    fn an_older_side_understands_added_fields_and_variants() {
        let call = New::Call { name: "x".into(), more: 7 };
        let old: Old = decode(&encode(&call).unwrap()).unwrap();
        assert_eq!(old, Old::Call { name: "x".into() });
        let added = encode(&New::Added { x: 1 }).unwrap();
        assert!(decode::<Old>(&added).is_err());
    }
}
