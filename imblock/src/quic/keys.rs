//! The protection of a client's Initial packets (RFC 9001 section 5), as far as it is taken off.

use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use aes_gcm::Aes128Gcm;
use aes_gcm::aead::AeadInOut;
use hkdf::Hkdf;
use sha2::Sha256;

use super::header::{Initial, SAMPLE, SAMPLE_AFTER};
use super::version::Version;

/// AES-128-GCM's nonce, in bytes.
const NONCE: usize = 12;
/// The tag at the end of a packet, in bytes.
const TAG: usize = 16;
/// In the first byte of a long header: what header protection covers, and the length of the packet
/// number less one.
const PROTECTED_BITS: u8 = 0x0f;
const NUMBER_LENGTH_BITS: u8 = 0x03;
/// Packet numbers have 62 bits.
const NUMBER_END: u64 = 1 << 62;

/// What a client protects its Initial packets with.
#[derive(Debug)]
pub(super) struct Keys {
    pub(super) packet: Aes128Gcm,
    pub(super) iv: [u8; NONCE],
    pub(super) header: Aes128,
}

/// A packet without its protection.
pub(super) struct Opened {
    pub(super) number: u64,
    pub(super) frames: Vec<u8>,
}

impl Keys {
    /// The keys that follow from the destination connection id of the client's first packet.
    /// Always some: no length here is one that HKDF refuses.
    pub(super) fn of_client(version: &Version, destination_id: &[u8]) -> Option<Self> {
        let initial = Hkdf::<Sha256>::new(Some(&version.salt), destination_id);
        let secret: [u8; 32] = expand_label(&initial, "client in")?;
        let client = Hkdf::<Sha256>::from_prk(&secret).ok()?;
        let key: [u8; 16] = expand_label(&client, version.labels.key)?;
        let header: [u8; 16] = expand_label(&client, version.labels.header)?;
        Some(Self {
            packet: Aes128Gcm::new(&key.into()),
            iv: expand_label(&client, version.labels.iv)?,
            header: Aes128::new(&header.into()),
        })
    }

    /// The packet without its protection; `None` if it is not under these keys. `largest` is the
    /// largest packet number of this sender so far.
    pub(super) fn open(&self, packet: &Initial<'_>, largest: Option<u64>) -> Option<Opened> {
        let sampled = packet.bytes.get(packet.number_at + SAMPLE_AFTER..)?;
        let [first_mask, number_mask @ ..] = self.mask(*sampled.first_chunk()?);

        let (&first, _) = packet.bytes.split_first()?;
        let first = first ^ first_mask & PROTECTED_BITS;
        let length = usize::from(first & NUMBER_LENGTH_BITS) + 1;
        let body_at = packet.number_at + length;
        let (header, body) = packet.bytes.split_at_checked(body_at)?;

        // The tag is also over the header, as it was before it was protected.
        let mut header = header.to_vec();
        *header.first_mut()? = first;
        let mut truncated = 0;
        for (byte, mask) in header
            .get_mut(packet.number_at..)?
            .iter_mut()
            .zip(number_mask)
        {
            *byte ^= mask;
            truncated = truncated << 8 | u64::from(*byte);
        }

        let number = whole_number(truncated, length, largest);
        if body.len() < TAG {
            return None;
        }
        let mut frames = body.to_vec();
        self.packet
            .decrypt_in_place(&self.nonce(number).into(), &header, &mut frames)
            .ok()?;
        Some(Opened { number, frames })
    }

    /// What the first byte and the packet number are covered with.
    pub(super) fn mask(&self, sample: [u8; SAMPLE]) -> [u8; 5] {
        let mut block = sample.into();
        self.header.encrypt_block(&mut block);
        let [a, b, c, d, e, ..]: [u8; SAMPLE] = block.into();
        [a, b, c, d, e]
    }

    pub(super) fn nonce(&self, number: u64) -> [u8; NONCE] {
        let mut nonce = self.iv;
        let from_the_end = nonce.iter_mut().rev();
        for (byte, number) in from_the_end.zip(number.to_le_bytes()) {
            *byte ^= number;
        }
        nonce
    }
}

/// HKDF-Expand-Label with an empty context (RFC 8446 section 7.1).
fn expand_label<const N: usize>(secret: &Hkdf<Sha256>, label: &str) -> Option<[u8; N]> {
    const PREFIX: &str = "tls13 ";
    let length = u16::try_from(N).ok()?.to_be_bytes();
    let label_length = u8::try_from(PREFIX.len() + label.len()).ok()?;
    let info: [&[u8]; 5] = [
        &length,
        &[label_length],
        PREFIX.as_bytes(),
        label.as_bytes(),
        &[0],
    ];
    let mut out = [0; N];
    secret.expand_multi_info(&info, &mut out).ok()?;
    Some(out)
}

/// The packet number of which only the last `length` bytes were sent (RFC 9000 section A.3).
fn whole_number(truncated: u64, length: usize, largest: Option<u64>) -> u64 {
    let expected = largest.map_or(0, |largest| largest + 1);
    let window = 1_u64 << (8 * length);
    let candidate = expected & !(window - 1) | truncated;
    if candidate + window / 2 <= expected && candidate + window < NUMBER_END {
        candidate + window
    } else if candidate > expected + window / 2 && candidate >= window {
        candidate - window
    } else {
        candidate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packet_numbers_are_told_from_their_last_bytes() {
        // The example of RFC 9000 section A.3.
        assert_eq!(whole_number(0x9b32, 2, Some(0xa82f_30ea)), 0xa82f_9b32);
        assert_eq!(whole_number(2, 4, None), 2);
        assert_eq!(whole_number(0xff, 1, None), 0xff);
        assert_eq!(whole_number(0x01, 1, Some(0xfe)), 0x101);
        assert_eq!(whole_number(0xfe, 1, Some(0x101)), 0xfe);
        // Nothing overflows at the end of the numbers.
        assert_eq!(whole_number(0, 4, Some(NUMBER_END - 1)), NUMBER_END);
    }
}
