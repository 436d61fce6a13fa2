use super::*;
use crate::engine::peer::Peers;
use crate::packet::inner::Address;

const FEW: Limits = Limits { all: 5, device: 3 };

fn devices() -> [PeerId; 2] {
    let mut peers = Peers::default();
    [(); 2].map(|()| peers.add())
}

/// UDP from a port, of a device to another or to elsewhere.
fn flow(port: u16, owner: PeerId, other: Option<PeerId>) -> Flow {
    let opened = Tuple {
        source: Address::V4([10, 0, 0, 1]),
        destination: Address::V4([192, 0, 2, 1]),
        protocol: UDP,
        ports: (port, 443),
    };
    Flow::new(opened, (owner, other), true, 1)
}

#[test]
fn a_flow_is_found_from_both_sides_until_it_ends() {
    let (mut flows, [one, _]) = (Flows::default(), devices());
    let opened = flow(7, one, None).opened;
    let id = flows.open(flow(7, one, None), 0.0).unwrap();
    assert_eq!(flows.find(&opened), Some(id));
    assert_eq!(flows.find(&opened.turned()), Some(id));
    assert_eq!(flows.find(&flow(8, one, None).opened), None);
    flows.end(id);
    assert!(flows.find(&opened).is_none() && flows.get(id).is_none());
    let next = flows.open(flow(7, one, None), 0.0).unwrap();
    assert!(flows.get(next).is_some());
    assert!(flows.get(id).is_none(), "it is another in the same place");
    flows.end(id);
    assert_eq!(flows.len(), 1);
}

#[test]
fn a_device_has_its_share_and_all_together_theirs() {
    let (mut flows, [one, other]) = (Flows::with_limits(FEW), devices());
    for port in 0..3 {
        flows.open(flow(port, one, Some(other)), 0.0).unwrap();
    }
    assert_eq!(flows.open(flow(3, one, None), 0.0), Err(Full));
    for port in 3..5 {
        flows.open(flow(port, other, None), 10.0).unwrap();
    }
    assert_eq!(flows.open(flow(5, other, None), 10.0), Err(Full));
    assert_eq!(flows.open(flow(5, other, None), 299.0), Err(Full));
    flows.open(flow(5, other, None), 300.0).unwrap();
    assert_eq!(flows.len(), 3, "what was silent for too long has made room");
}

#[test]
fn all_are_looked_at_once_a_second_where_it_is_full_and_once_a_minute_else() {
    let (mut flows, [one, other]) = (Flows::with_limits(FEW), devices());
    for port in 0..3 {
        flows.open(flow(port, one, None), f64::from(port)).unwrap();
    }
    assert_eq!(flows.open(flow(3, one, None), 299.5), Err(Full));
    assert_eq!(flows.open(flow(3, one, None), 300.4), Err(Full), "too soon");
    flows.open(flow(3, one, None), 300.5).unwrap();
    flows.open(flow(4, other, None), 302.0).unwrap();
    assert_eq!(flows.len(), 4);
    flows.open(flow(5, other, None), 361.0).unwrap();
    assert_eq!(flows.len(), 3);
}

#[test]
fn with_a_device_flows_from_and_to_it_go_and_no_others() {
    let (mut flows, [one, other]) = (Flows::with_limits(FEW), devices());
    flows.open(flow(0, one, None), 0.0).unwrap();
    flows.open(flow(1, other, Some(one)), 0.0).unwrap();
    flows.open(flow(2, other, None), 0.0).unwrap();
    flows.open(flow(3, one, Some(one)), 0.0).unwrap();
    flows.end_of(one);
    assert_eq!(flows.len(), 1);
    assert!(flows.find(&flow(2, other, None).opened).is_some());
    flows.end_of(one);
    for port in 3..6 {
        flows.open(flow(port, one, None), 0.0).unwrap();
    }
    assert_eq!(flows.flows.len(), 4, "places are used again");
    flows.end_of(other);
    flows.end_of(one);
    assert!(flows.is_empty() && flows.of_peer.is_empty() && flows.owned.is_empty());
}
