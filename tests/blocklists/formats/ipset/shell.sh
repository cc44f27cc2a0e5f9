#!/bin/sh
ipset -exist create blacklist hash:ip
sudo ipset add blacklist 9.9.9.9
/usr/sbin/ipset -! add blacklist 1.0.0.1 # seen on 8.8.8.8
ipset -A blacklist 208.67.222.222 -exist
for ip in 8.8.4.4; do ipset add blacklist $ip; done
