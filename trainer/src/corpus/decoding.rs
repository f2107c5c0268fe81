//! Decodes text in the encodings of music files.

/// Decodes UTF-8 or UTF-16 with a byte order mark, otherwise UTF-8, otherwise Latin-1, the encoding of old ABC and kern
/// files. Never fails: any bytes are valid Latin-1.
pub fn text(bytes: &[u8]) -> String {
    let utf16 = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]])).collect();
        String::from_utf16_lossy(&units)
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest).into_owned(),
        _ => match std::str::from_utf8(bytes) {
            Ok(text) => text.to_string(),
            Err(_) => bytes.iter().map(|&byte| char::from(byte)).collect(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_encoding_is_read() {
        for bytes in [&b"\xef\xbb\xbf\xc3\xa9"[..], b"\xc3\xa9", b"\xe9", b"\xff\xfe\xe9\0", b"\xfe\xff\0\xe9"] {
            assert_eq!(text(bytes), "é", "{bytes:?}");
        }
        assert_eq!(text(b""), "");
        assert_eq!(text(b"\xff\xfe\xe9"), "");
    }
}
