//! TensorBoard's event files: `Event` messages in protocol buffers, framed as TFRecords with CRC-32C checksums.

/// The scalars of one step.
pub(crate) struct Scalars {
    pub(crate) step: u32,
    /// Tags and values.
    pub(crate) values: Vec<(String, f64)>,
}

/// An event file. Steps stand for the wall-clock time, so that equal tables give equal files.
pub(crate) fn event_file(scalars: &[Scalars]) -> Vec<u8> {
    let mut file = Vec::new();
    let version = field(3, "brain.Event:2".as_bytes());
    record(&mut file, &event(0, &version));
    for Scalars { step, values } in scalars {
        let summary: Vec<u8> = values.iter().flat_map(|(tag, value)| field(1, &scalar(tag, *value))).collect();
        record(&mut file, &event(*step, &field(5, &summary)));
    }
    file
}

/// `Event`: 1 wall time, 2 step, then the rest.
fn event(step: u32, rest: &[u8]) -> Vec<u8> {
    let mut event = vec![1 << 3 | 1];
    event.extend(f64::from(step).to_le_bytes());
    event.push(2 << 3);
    event.extend(varint(step.into()));
    event.extend(rest);
    event
}

/// `Summary.Value`: 1 tag, 2 value, which is rounded to float32.
fn scalar(tag: &str, value: f64) -> Vec<u8> {
    let mut scalar = field(1, tag.as_bytes());
    scalar.push(2 << 3 | 5);
    scalar.extend((value as f32).to_le_bytes());
    scalar
}

/// A field of bytes.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut field = vec![number << 3 | 2];
    field.extend(varint(content.len() as u64));
    field.extend(content);
    field
}

fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    bytes.push(number.to_le_bytes()[0]);
    bytes
}

/// A TFRecord: length, its checksum, content, its checksum.
fn record(file: &mut Vec<u8>, content: &[u8]) {
    let length = (content.len() as u64).to_le_bytes();
    file.extend(length);
    file.extend(masked(&length).to_le_bytes());
    file.extend(content);
    file.extend(masked(content).to_le_bytes());
}

/// The CRC-32C, rotated and shifted so that a checksum of what holds checksums is not degenerate.
fn masked(bytes: &[u8]) -> u32 {
    crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// CRC-32C (Castagnoli), bit by bit: these files are small.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_the_standard() {
        // RFC 3720, appendix B.4.
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn an_event_by_hand() {
        let file = event_file(&[Scalars { step: 300, values: vec![("a".to_owned(), 1.5)] }]);
        let second = &file[8 + 4 + 26 + 4..];
        assert_eq!(second[..8], 24u64.to_le_bytes());
        let content = &second[12..second.len() - 4];
        let expected =
            [&[9][..], &300f64.to_le_bytes(), &[16, 0xac, 2], &[42, 10, 10, 8, 10, 1, b'a', 21], &1.5f32.to_le_bytes()]
                .concat();
        assert_eq!(content, expected);
    }
}
