"""Where an exhibit's models and measurements are kept, and how the parts that are missing are made."""

import contextlib
import json
import pathlib
import re
import shutil
import time

import keras

from alp_tf import callbacks, configs, experiment, files, lock, machine, progress
from alp_tf.reproduction import budgets, estimate, measuring, parts, processes, shelf
from alp_tf.workdir import WorkDir


class Store:
    """A directory of work directories, one a model, with the measurements of each in its `measured/`.

    Attributes:
      path: the directory, `OUTPUT/BUDGET/models`.
      sizes: measuring.Sizes.
      shelf: shelf.Shelf of what was measured before, wherever that was; or None.
    """

    def __init__(self, output, budget, *, sizes, data_dir=None, archives=None, counts=None, shelf=None):
        """Makes nothing yet.

        Args:
          output: directory of every exhibit.
          budget: one of budgets.BUDGETS, each of which has models of its own.
          sizes: measuring.Sizes.
          data_dir, archives: where the data sets are, see datasets.load.
          counts: {data set: (training images, test images)} of those whose images are not to be counted.
          shelf: see the attribute.
        """
        self.path = pathlib.Path(output) / budget / "models"
        self.sizes, self.shelf = sizes, shelf
        self._budget, self._counts = budget, dict(counts or {})
        self._data_dir, self._archives = data_dir, archives

    def directory(self, model):
        """The work directory of a model."""
        return self.path / budgets.directory_name(model, self._budget)

    def config(self, model):
        """The configuration of a model, with where its data and the models are that it learns or starts from."""
        config = budgets.configuration(model, self._budget)
        config.dataset.data_dir = self._data_dir
        config.dataset.archives = self._archives
        sources, start = parts.learnt_from(model), budgets.start_of(model)
        if sources:
            config.defense.sources = tuple(str(self.directory(source) / "model.keras") for source in sources)
        if start:
            config.train.start_from = str(self.directory(start) / "model.keras")
        return config

    def counts(self, model):
        """(training images, test images) of a model's data set, as they are there.

        Raises:
          ValueError: it is not there and cannot be had; says what to do.
        """
        config = self.config(model)
        if config.dataset.name not in self._counts:
            data = measuring.dataset_of(config)
            self._counts[config.dataset.name] = data.train_examples, data.test_examples
        return self._counts[config.dataset.name]

    def images(self, part):
        """On how many test images a part is measured.

        Raises:
          ValueError: see `counts`.
        """
        return self.sizes.images(part, self.counts(part.model)[1])

    def slug(self, part):
        """The name of a measurement's file, without its ending."""
        source = f" on {budgets.directory_name(part.source, self._budget)}" if part.source else ""
        plain = re.sub(r"[^A-Za-z0-9.=]+", "_", f"{part.kind} {part.name}{source}").strip("_")
        return budgets.for_file(plain)

    def said(self, part):
        """A part in a few words, with its model."""
        return f"{self.directory(part.model).name}: {parts.said(part)}"

    def done(self, part):
        """What a finished part found, or None.

        Args:
          part: parts.Part.

        Raises:
          ValueError: the model's directory belongs to another configuration; or see `counts`.
        """
        if part.kind == "train":
            with _in_output():
                place = WorkDir(self.directory(part.model), default=configs.default())
                trained = place.trained(self.config(part.model))
            # How long it took is in its history.
            return {"trained": True} if trained else None
        path = self._file(part)
        found = None
        if path.exists() and self.done(parts.training(part.model)):
            found = json.loads(path.read_text(encoding="utf-8"))
        if found is None or found["asked"] != self._asked(part):
            found = self._shelved(part)
        return found if found and found["asked"] == self._asked(part) else None

    def training(self, model):
        """{"steps", "seconds"} of a model's training, if it is known; else None."""
        rows = callbacks.History.read(self.directory(model) / "history.jsonl")
        if rows and self.done(parts.training(model)):
            return {"steps": rows[-1]["step"], "seconds": rows[-1]["seconds"]}
        shelved = self._on_shelf(model)
        return shelved and {name: shelved[name] for name in ("steps", "seconds")}

    def make(self, part):
        """Makes a part, going on where it was interrupted.

        Args:
          part: parts.Part.

        Raises:
          ValueError: another process is making it; says which. Or see experiment.train and evaluation.evaluate.
        """
        config, directory = self.config(part.model), self.directory(part.model)
        if part.kind == "train":
            with _in_output():
                experiment.train(config, directory, name=directory.name)
            return
        path, began = self._file(part), time.perf_counter()
        path.parent.mkdir(parents=True, exist_ok=True)
        keep = path.with_suffix("")
        source = self.directory(part.source) if part.source else None
        with _held(path.with_suffix(".lock"), self.said(part)):
            if self.done(part) is not None:
                # By another process, since it was asked for.
                return
            _keep_for(keep, self._asked(part))
            found = measuring.measure(part, config, directory, source, self.sizes, keep)
            found = {"asked": self._asked(part), "images": self.images(part), **found}
            # An attack counts its own seconds, those before an interruption included.
            found["seconds"] = round(found.get("seconds") or time.perf_counter() - began, 3)
            files.write_json(path, {**found, "versions": machine.versions(), "machine": machine.description()})
            shutil.rmtree(keep, ignore_errors=True)

    def put_on_shelf(self, part):
        """Adds a finished part to the shelf, where there is one and does not have it."""
        found = self.done(part)
        there = self._on_shelf(part.model) if part.kind == "train" else self._shelved(part)
        if self.shelf is None or found is None or there:
            return
        directory, training = self.directory(part.model), self.training(part.model)
        if part.source:
            found = {**found, "source_weights": shelf.digest(self.directory(part.source) / "model.keras")}
        measured = {} if part.kind == "train" else {self.slug(part): found}
        self.shelf.add(
            directory.name, self.config(part.model), directory / "model.keras", **training, measured=measured
        )

    def _shelved(self, part):
        shelved = self._on_shelf(part.model)
        found = shelved and shelved["measured"].get(self.slug(part))
        if found and part.source:
            source = self._on_shelf(part.source)
            return found if source and source["weights"] == found["source_weights"] else None
        return found

    def _on_shelf(self, model):
        if self.shelf is None:
            return None
        directory = self.directory(model)
        return self.shelf.found(directory.name, self.config(model), directory / "model.keras")

    def _asked(self, part):
        return measuring.asked(part, self.config(part.model).dataset.name, self.sizes, self.images(part))

    def _file(self, part):
        return self.directory(part.model) / "measured" / f"{self.slug(part)}.json"


def make_all(wanted, store, *, jobs=0, start=None, after=lambda unmade: None, show_progress=True):
    """Makes every part that is not there yet.

    Args:
      wanted: list of parts.Part, each after those that it needs.
      store: Store.
      jobs: how many parts are made at a time, each in a process of its own; 0 makes them in this one, which starts
        seconds earlier.
      start: see processes.make.
      after: function of the list of those that are still to be made, called at the beginning and after each part.
      show_progress: whether a bar over all of them is shown.

    Raises:
      ValueError, OSError: see experiment.run and evaluation.evaluate; also a process that ended suddenly.
    """
    unmade = missing(wanted, store)
    for part in (part for part in wanted if part not in unmade):
        store.put_on_shelf(part)
    with progress.bar(len(wanted), "everything", "part", initial=len(wanted) - len(unmade), shown=show_progress) as bar:

        def made(part):
            store.put_on_shelf(part)
            if store.shelf and part.kind == "train":
                # Should it have other weights than before, what was found of those does not count any more.
                unmade[:] = missing(wanted, store)
            elif part in unmade:
                unmade.remove(part)
            bar.update()
            after(unmade)

        after(unmade)
        while unmade:
            if jobs:
                processes.make(tuple(unmade), store, jobs, describe=bar.set_description, made=made, start=start)
            else:
                for part in tuple(unmade):
                    bar.set_description(store.said(part))
                    store.make(part)
                    made(part)
            unmade[:] = missing(wanted, store)
    keras.utils.clear_session()


def missing(wanted, store):
    """Which parts are to be made: of a training that is known, only what something else to be made reads.

    Args:
      wanted: list of parts.Part, each after those that it needs.
      store: Store.
    """
    found = []
    for part in reversed(wanted):
        known = part.kind == "train" and store.training(part.model) is not None
        if store.done(part) is None and not (known and not any(part in parts.before(other) for other in found)):
            found.insert(0, part)
    return found


def plan(wanted, store):
    """What is to be done, model by model, with an estimate of its time: text for `--dry-run`.

    Args:
      wanted: list of parts.Part.
      store: Store.
    """
    lines, total, unknown, left = {}, 0.0, 0, 0
    unmade = set(missing(wanted, store))
    for part in wanted:
        name = store.directory(part.model).name
        if part not in unmade:
            lines.setdefault(name, []).append(f"{parts.said(part)} (done)")
            continue
        left += 1
        value = estimate.remaining(part, store)
        total, unknown = total + (value or 0.0), unknown + (value is None)
        lines.setdefault(name, []).append(f"{parts.said(part)} {estimate.length(value)}")
    trainings = sum(part.kind == "train" for part in wanted)
    summary = f"{len(wanted)} parts ({trainings} models to train), {left} of them to do: about {estimate.length(total)}"
    if unknown:
        summary += f", and {unknown} for which no speed is known before the first is finished"
    width = max(map(len, lines))
    return "\n".join([*(f"  {name:<{width}}  {', '.join(done)}" for name, done in lines.items()), summary])


@contextlib.contextmanager
def _in_output():
    """Mistakes are told with the flag of who makes exhibits."""
    try:
        yield
    except ValueError as error:
        raise ValueError(str(error).replace("--workdir", "--output")) from error


@contextlib.contextmanager
def _held(path, said):
    """No other process makes the same meanwhile.

    Raises:
      ValueError: one does; says which.
    """
    held = lock.Lock(path)
    try:
        held.acquire()
    except BlockingIOError as holder:
        raise ValueError(
            f"{said} is being measured by {holder}. Wait until it has ended, or give another --output"
        ) from None
    try:
        yield
    finally:
        held.release()


def _keep_for(keep, asked):
    """Makes the directory for that measurement; what was kept of one that was asked differently is of no use."""
    mark = keep / "asked.txt"
    if keep.exists() and not (mark.exists() and mark.read_text(encoding="utf-8") == asked):
        shutil.rmtree(keep)
    keep.mkdir(parents=True, exist_ok=True)
    files.write_text(mark, asked)
