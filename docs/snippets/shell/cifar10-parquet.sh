convfleet run cifar10 --set data.source=parquet --set data.name=null \
    --set data.train=cifar10-train.parquet --set data.test=cifar10-test.parquet
