//! The checksum of POSIX `cksum`, which every Unix can compute without further programs.
//!
//! A CRC-32 (polynomial 0x04C11DB7, most significant bit first) of the bytes and then of their
//! count, as specified in IEEE Std 1003.1, `cksum`.

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = (byte as u32) << 24;
        let mut bit = 0;
        while bit < 8 {
            crc = (crc << 1) ^ if crc >> 31 == 1 { 0x04C1_1DB7 } else { 0 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
}

static TABLE: [u32; 256] = table();

/// What `cksum` prints for these bytes on standard input: checksum and count.
pub fn cksum(bytes: &[u8]) -> String {
    let step = |crc: u32, byte: u8| (crc << 8) ^ TABLE[usize::from((crc >> 24) as u8 ^ byte)];
    let mut crc = bytes.iter().fold(0, |crc, byte| step(crc, *byte));
    let mut count = bytes.len();
    while count > 0 {
        crc = step(crc, count as u8);
        count >>= 8;
    }
    format!("{} {}", !crc, bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_as_the_command() {
        assert_eq!(cksum(b""), "4294967295 0");
        assert_eq!(cksum(b"123456789"), "930766865 9");
        assert_eq!(cksum(&[b'a'; 300]), "1664553091 300");
    }
}
