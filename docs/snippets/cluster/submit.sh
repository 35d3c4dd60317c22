# In the folder of the study, all of which travels. Weights and pictures that the job does not need belong elsewhere.
export RAY_AUTH_MODE=token
ray job submit --address http://127.0.0.1:8265 --working-dir . -- convfleet run my-study.yaml --resume-if-there --address auto --runs /mnt/shared/runs
