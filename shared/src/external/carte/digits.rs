//! Numbers as a Carte writes them: grouped, and in the digits of the language that its JVM speaks.

/// The zero of each script that has decimal digits (category Nd of Unicode 14); nine follow each.
const ZEROS: [u32; 66] = [
    0x30, 0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66,
    0xde6, 0xe50, 0xed0, 0xf20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90,
    0x1b50, 0x1bb0, 0x1c40, 0x1c50, 0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0xff10,
    0x104a0, 0x10d30, 0x11066, 0x110f0, 0x11136, 0x111d0, 0x112f0, 0x11450, 0x114d0, 0x11650,
    0x116c0, 0x11730, 0x118e0, 0x11950, 0x11c50, 0x11d50, 0x11da0, 0x16a60, 0x16ac0, 0x16b50,
    0x1d7ce, 0x1d7d8, 0x1d7e2, 0x1d7ec, 0x1d7f6, 0x1e140, 0x1e2f0, 0x1e950, 0x1fbf0,
];

/// All its digits, whatever stands between them: `3,500`, `3.500`, `3 500`, `٣٬٥٠٠`. None: 0.
pub(super) fn number(text: &str) -> u64 {
    let digits = text.chars().filter_map(digit);
    digits.fold(0, |all: u64, digit| all.saturating_mul(10).saturating_add(digit))
}

fn digit(c: char) -> Option<u64> {
    let code = u32::from(c);
    let script = ZEROS.partition_point(|zero| *zero <= code).checked_sub(1)?;
    let digit = code - ZEROS[script];
    (digit < 10).then_some(u64::from(digit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_its_digits_in_any_script() {
        for (text, expect) in [
            (" 3,500", 3_500),
            ("3.500", 3_500),
            ("3\u{202f}500", 3_500),
            ("3’500", 3_500),
            ("٣٬٥٠٠", 3_500),
            ("۳٬۵۰۰", 3_500),
            ("३,५००", 3_500),
            ("３５００", 3_500),
            ("\u{1d7dc}\u{1d7ce}", 40),
            ("-", 0),
            ("", 0),
            ("x:/９A", 9),
            ("99999999999999999999999", u64::MAX),
        ] {
            assert_eq!(number(text), expect, "{text}");
        }
        assert!(ZEROS.is_sorted());
    }
}
