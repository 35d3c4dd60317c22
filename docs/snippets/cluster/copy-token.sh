# On the head, once for each worker, and for each machine that launches studies:
ssh worker 'mkdir -p -m 700 ~/.ray' && scp -p ~/.ray/auth_token worker:.ray/auth_token
