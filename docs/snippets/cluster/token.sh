# On the head, once: the token that every node and every client must have, and that nobody else may read.
ray get-auth-token --generate >/dev/null && chmod 600 ~/.ray/auth_token
