"""What gunicorn of a test has in common; names that an older one does not know are skipped."""

# Else all of them share one in the home of the user.
control_socket_disable = True
