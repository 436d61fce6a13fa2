"""Who answers in a LAN for the addresses of users' devices: exactly for those, by ARP and neighbour discovery; pure."""
