"""Groups of hosts with a Redis each that fill one table: how much does one scheduler carry?"""
