# On the head, which runs drivers and no trials. Its dashboard takes jobs, from the head itself alone.
export RAY_AUTH_MODE=token RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO=1 RAY_USAGE_STATS_ENABLED=0
ray start --head --port=6379 --num-cpus=0 --num-gpus=0 --dashboard-host=127.0.0.1
