use super::*;
use proptest::prelude::*;

fn packet(data: usize, options: &[u8], field: u16) -> Vec<u8> {
    let mut packet = vec![0; IPV4_HEADER];
    packet[0] = 0x45 + (options.len() / 4) as u8;
    packet.extend_from_slice(options);
    packet.extend((0..data).map(|at| at as u8));
    let length = packet.len() as u16;
    write_u16(&mut packet, ipv4::TOTAL_LENGTH, length);
    write_u16(&mut packet, ipv4::IDENTIFICATION, 0x1234);
    write_u16(&mut packet, ipv4::FRAGMENT, field);
    packet[ipv4::PROTOCOL] = UDP;
    packet
}

fn pieces(packet: &[u8], limit: usize) -> Result<Vec<Vec<u8>>, Refused> {
    let mut pieces = vec![];
    for_each_fragment(packet, limit, &mut vec![], |piece| {
        pieces.push(piece.to_vec())
    })?;
    Ok(pieces)
}

fn field(piece: &[u8]) -> u16 {
    read_u16(piece, ipv4::FRAGMENT)
}

#[test]
fn put_together_they_are_what_was_sent() {
    for limit in [68, 575, 1276, 1279, 1280] {
        let whole = packet(3000, &[], 0);
        let mut data = vec![];
        for piece in pieces(&whole, limit).unwrap() {
            assert!(piece.len() <= limit);
            assert_eq!(
                usize::from(read_u16(&piece, ipv4::TOTAL_LENGTH)),
                piece.len()
            );
            assert_eq!(fold(sum_portable(&piece[..20])), 0xffff);
            assert_eq!(usize::from(field(&piece) & ipv4::OFFSET) * 8, data.len());
            data.extend_from_slice(&piece[20..]);
            assert_eq!(
                field(&piece) & ipv4::MORE_FRAGMENTS == 0,
                data.len() == 3000
            );
        }
        assert_eq!(data, whole[20..]);
    }
}

#[test]
fn no_more_pieces_than_needed() {
    let lengths = |size, limit| -> Vec<usize> {
        let pieces = pieces(&packet(size, &[], 0), limit).unwrap();
        pieces.iter().map(Vec::len).collect()
    };
    assert_eq!(lengths(1480, 1280), [1276, 244]);
    assert_eq!(lengths(1260, 1280), [1280]);
    assert_eq!(lengths(1256 * 3, 1276), [1276; 3]);
}

#[test]
fn only_options_that_say_so_are_in_later_fragments() {
    let options = [0x44, 4, 5, 0, 0x94, 4, 0, 0, 1, 0x88, 4, 1, 2, 0, 0, 0];
    let pieces = pieces(&packet(600, &options, 0), 300).unwrap();
    assert_eq!(pieces[0][20..36], options);
    for piece in &pieces[1..] {
        assert_eq!(piece[0], 0x47);
        assert_eq!(piece[20..28], [0x94, 4, 0, 0, 0x88, 4, 1, 2]);
    }
}

#[test]
fn a_fragment_is_fragmented_from_where_it_was() {
    let fields: Vec<u16> = pieces(&packet(1480, &[], 0x2000 | 185), 1280)
        .unwrap()
        .iter()
        .map(|piece| field(piece))
        .collect();
    assert_eq!(fields, [0x2000 | 185, 0x2000 | (185 + 157)]);
}

#[test]
fn what_may_not_be_fragmented_is_refused_where_it_does_not_fit() {
    let whole = packet(600, &[], ipv4::DONT_FRAGMENT);
    assert_eq!(pieces(&whole, 619), Err(Refused::MayNotBe));
    assert_eq!(pieces(&whole, 620), Ok(vec![whole]));
    let mut six = vec![0; 1400];
    (six[0], six[4], six[5]) = (0x60, (1360 >> 8) as u8, 1360u16 as u8);
    assert_eq!(pieces(&six, 1280), Err(Refused::MayNotBe));
    assert_eq!(pieces(&packet(600, &[], 0), 27), Err(Refused::NoRoom));
    assert!(pieces(&packet(600, &[], 0), 28).is_ok());
}

proptest! {
    #[test]
    fn anything_may_be_tried(mut packet in proptest::collection::vec(any::<u8>(), 20..900), limit in 0usize..700) {
        packet[0] = 0x40 | packet[0] & 0xf;
        let length = packet.len() as u16 - u16::from(packet[3]) % 20;
        write_u16(&mut packet, ipv4::TOTAL_LENGTH, length);
        for piece in pieces(&packet, limit).unwrap_or_default() {
            prop_assert!(piece.len() <= limit || piece == packet);
        }
    }
}
