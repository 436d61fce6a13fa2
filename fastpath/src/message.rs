//! Messages on the wire: their layout and the limits of a session (wp 5.4 and 6.1). Each number stands here once.
//! The same as `wgnode/protocol/constants.py` and `wgnode/protocol/messages.py`.

/// The first four bytes of each kind: its type and three reserved zeros.
pub const INITIATION: [u8; 4] = [1, 0, 0, 0];
pub const RESPONSE: [u8; 4] = [2, 0, 0, 0];
pub const COOKIE_REPLY: [u8; 4] = [3, 0, 0, 0];
pub const TRANSPORT: [u8; 4] = [4, 0, 0, 0];

/// Bytes of a mac1, and of a mac2, which end initiations and responses.
pub const MAC: usize = 16;
/// Bytes of a transport message's header: type, receiver index, counter.
pub const HEADER: usize = 16;
/// Bytes of the authentication tag.
pub const TAG: usize = 16;
/// What a transport message is longer than its packet.
pub const OVERHEAD: usize = HEADER + TAG;
/// Packets are padded to a multiple of this many bytes (wp 5.4.6).
pub const PADDING_MULTIPLE: usize = 16;

/// Seconds after which a session neither sends nor receives (wp 6.1).
pub const REJECT_AFTER_TIME: f64 = 180.0;
/// Counters from here on are neither sent nor accepted (wp 6.1, with the kernel's room for the window).
pub const REJECT_AFTER_MESSAGES: u64 = u64::MAX - (1 << 13);

/// Bytes of a whole handshake message that begins so; None for another kind.
pub fn handshake_length(kind: [u8; 4]) -> Option<usize> {
    match kind {
        INITIATION => Some(148),
        RESPONSE => Some(92),
        COOKIE_REPLY => Some(64),
        _ => None,
    }
}

/// The session that a transport message is for. The message has at least [`HEADER`] bytes.
#[inline]
pub fn receiver(message: &[u8]) -> u32 {
    u32::from_le_bytes(message[4..8].try_into().expect("four bytes"))
}

/// The counter in a transport message's header. The message has at least [`HEADER`] bytes.
#[inline]
pub fn counter(message: &[u8]) -> u64 {
    u64::from_le_bytes(message[8..HEADER].try_into().expect("eight bytes"))
}

/// A transport message's header, at the beginning of `message`.
#[inline]
pub fn write_header(message: &mut [u8], receiver: u32, counter: u64) {
    message[..4].copy_from_slice(&TRANSPORT);
    message[4..8].copy_from_slice(&receiver.to_le_bytes());
    message[8..HEADER].copy_from_slice(&counter.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_as_it_was_written() {
        let mut message = [0xa5; OVERHEAD];
        write_header(&mut message, 0x0403_0201, 0x0c0b_0a09_0807_0605);
        assert_eq!(message[..4], TRANSPORT);
        assert_eq!(message[4..HEADER], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
        assert_eq!(message[HEADER..], [0xa5; TAG]);
        assert_eq!(receiver(&message), 0x0403_0201);
        assert_eq!(counter(&message), 0x0c0b_0a09_0807_0605);
    }

    #[test]
    fn handshake_messages_have_exactly_their_length() {
        let lengths = [INITIATION, RESPONSE, COOKIE_REPLY, TRANSPORT].map(handshake_length);
        assert_eq!(lengths, [Some(148), Some(92), Some(64), None]);
        assert_eq!(handshake_length([1, 0, 0, 1]), None);
    }
}
