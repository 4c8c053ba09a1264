//! How Kettle hides the password of a repository in what it is posted: `Encr.decryptPassword` reads it,
//! with the encoder that a Kettle has unless it was given another one. It is no cipher: everybody who has
//! a Kettle can undo it. The rules are those of its `KettleTwoWayPasswordEncoder`: the bytes as one
//! number with a sign, XOR a number that is known, in hexadecimal.

/// What an encoded one begins with. A Kettle takes it off before it decodes what follows.
const ENCODED: &str = "Encrypted ";
/// 933910847463829827159347601486730416058 (0x2be98afc86aa7f2e4cb79ce10bef2cfba), unless
/// KETTLE_TWO_WAY_PASSWORD_ENCODER_SEED is another one.
const SEED: [u8; 17] = [
    0x02, 0xbe, 0x98, 0xaf, 0xc8, 0x6a, 0xa7, 0xf2, 0xe4, 0xcb, 0x79, 0xce, 0x10, 0xbe, 0xf2, 0xcf,
    0xba,
];

/// As Kettle reads it. What is encoded already (by its own `encr.sh -kettle`, with a seed or an encoder
/// that is not the usual one) stays as it is.
pub fn encoded(password: &str) -> String {
    if password.is_empty() || password.starts_with(ENCODED) {
        return password.to_owned();
    }
    let bytes = password.as_bytes();
    let negative = bytes[0] >= 0x80;
    // One byte more than either: there the sign has room.
    let len = bytes.len().max(SEED.len()) + 1;
    let mut number = vec![if negative { 0xff } else { 0 }; len - bytes.len()];
    number.extend_from_slice(bytes);
    for (byte, seed) in number.iter_mut().rev().zip(SEED.iter().rev()) {
        *byte ^= seed;
    }
    if negative {
        negate(&mut number);
    }
    let digits: String = number.iter().map(|byte| format!("{byte:02x}")).collect();
    let digits = match digits.trim_start_matches('0') {
        "" => "0",
        digits => digits,
    };
    format!("{}{digits}", if negative { "-" } else { "" })
}

/// Two's complement.
fn negate(number: &mut [u8]) {
    let mut carry = true;
    for byte in number.iter_mut().rev() {
        let (sum, over) = (!*byte).overflowing_add(u8::from(carry));
        *byte = sum;
        carry = over;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_what_kettle_makes_of_it() {
        for (password, expect) in [
            ("password", "2be98afc86aa7f2e4bb18bd63c99dbdde"),
            ("cluster", "2be98afc86aa7f2e4cb1aa265cd86aac8"),
            ("rep0", "2be98afc86aa7f2e4cb79ce10cc97bf8a"),
            ("aaaaaaaaaaaaaaaaaaaa", "61616163dff9cea90bc69385aa18af71df93aedb"),
            ("密码", "-2be98afc86aa7f2e4cb79d440c7ea90c5"),
            ("", ""),
            ("Encrypted 2be98", "Encrypted 2be98"),
        ] {
            assert_eq!(encoded(password), expect, "{password}");
        }
    }
}
