"""A plain loop over Keras's fit, which keeps each variant's best weights: `python -m peers.keras_loop JOB`."""

from peers.models import best_weights, build_model, reporter
from peers.shared import load_arrays, make_feed, read_job


def main() -> None:
    import keras

    job = read_job()
    feed = make_feed(load_arrays(job), job)
    for number, variant in enumerate(job.variants):
        # As Keras's documentation advises for many models in a loop.
        keras.utils.clear_session()
        model = build_model(variant, feed)
        callbacks = [best_weights(job, name=f"variant-{number}"), reporter(job, variant=number)]
        model.fit(*feed.train, epochs=job.epochs, callbacks=callbacks, verbose=0, **feed.settings)


if __name__ == "__main__":
    main()
