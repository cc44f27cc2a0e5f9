#!/bin/sh
# blocks what came yesterday
nft add table inet f
sudo nft add set inet f b \{ type ipv4_addr\; flags interval\; \}
/usr/sbin/nft add element inet f b '{ 9.9.9.9, 149.112.112.0/24 }'
nft add element inet f b { 1.0.0.1 }
