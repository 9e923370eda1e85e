"""Where an exhibit's models and measurements are kept, and how the parts that are missing are made."""

import json
import pathlib
import re
import shutil
import time

import keras

from alp_tf import experiment, files, machine, progress
from alp_tf.reproduction import budgets, estimate, measuring, parts, processes
from alp_tf.workdir import WorkDir


class Store:
    """A directory of work directories, one a model, with the measurements of each in its `measured/`.

    Attributes:
      path: the directory, `OUTPUT/BUDGET/models`.
    """

    def __init__(self, output, budget, *, sizes, data_dir=None, archives=None):
        """Makes nothing yet.

        Args:
          output: directory of every exhibit.
          budget: one of budgets.BUDGETS, each of which has models of its own.
          sizes: measuring.Sizes.
          data_dir, archives: where the data sets are, see datasets.load.
        """
        self.path = pathlib.Path(output) / budget / "models"
        self._budget, self._sizes = budget, sizes
        self._data_dir, self._archives = data_dir, archives

    def directory(self, model):
        """The work directory of a model."""
        return self.path / budgets.directory_name(model, self._budget)

    def config(self, model):
        """The configuration of a model, with where its data and the models that it learns from are."""
        config = budgets.configuration(model, self._budget)
        config.dataset.data_dir = self._data_dir
        config.dataset.archives = self._archives
        needed = parts.needed_first(model)
        if needed:
            config.defense.sources = tuple(str(self.directory(source) / "model.keras") for source in needed)
        return config

    def images(self, model):
        """(training images, test images) of a model's data set, as they are there.

        Raises:
          ValueError: it is not there and cannot be had; says what to do.
        """
        try:
            data = measuring.dataset_of(self.config(model))
        except ValueError as error:
            # The flags of this command have shorter names.
            raise ValueError(str(error).replace("--config.dataset.", "--")) from error
        return data.train_examples, data.test_examples

    def slug(self, part):
        """The name of a measurement's file, without its ending."""
        source = f" on {budgets.directory_name(part.source, self._budget)}" if part.source else ""
        return re.sub(r"[^A-Za-z0-9.=]+", "_", f"{part.kind} {part.name}{source}").strip("_")

    def said(self, part):
        """A part in a few words, with its model."""
        return f"{self.directory(part.model).name}: {parts.said(part)}"

    def done(self, part, images):
        """What a finished part found, or None.

        Args:
          part: parts.Part.
          images: how many it is to be measured on.

        Raises:
          ValueError: the model's directory belongs to another configuration.
        """
        if part.kind == "train":
            try:
                trained = WorkDir(self.directory(part.model)).trained(self.config(part.model))
            except ValueError as error:
                raise ValueError(str(error).replace("--workdir", "--output")) from error
            # How long it took is in its history.
            return {"trained": True} if trained else None
        path = self._file(part)
        if not path.exists() or not self.done(parts.training(part.model), images):
            return None
        found = json.loads(path.read_text(encoding="utf-8"))
        return found if found["asked"] == self._asked(part, images) else None

    def make(self, part, images):
        """Makes a part, going on where it was interrupted.

        Args:
          part: parts.Part.
          images: how many it is to be measured on.
        """
        config, directory = self.config(part.model), self.directory(part.model)
        if part.kind == "train":
            experiment.train(config, directory, name=directory.name)
            return
        path, began = self._file(part), time.perf_counter()
        path.parent.mkdir(parents=True, exist_ok=True)
        keep = path.with_suffix("")
        source = self.directory(part.source) if part.source else None
        _keep_for(keep, self._asked(part, images))
        found = measuring.measure(part, config, directory, source, self._sizes, keep)
        found = {"asked": self._asked(part, images), "images": images, **found}
        # An attack counts its own seconds, those before an interruption included.
        found["seconds"] = round(found.get("seconds") or time.perf_counter() - began, 3)
        files.write_json(path, {**found, "versions": machine.versions(), "machine": machine.description()})
        shutil.rmtree(keep, ignore_errors=True)

    def _asked(self, part, images):
        return measuring.asked(part, self.config(part.model).dataset.name, self._sizes, images)

    def _file(self, part):
        return self.directory(part.model) / "measured" / f"{self.slug(part)}.json"


def make_all(wanted, store, sizes, test_images, *, jobs=0, show_progress=True):
    """Makes every part that is not there yet.

    Args:
      wanted: list of parts.Part, each after those that it needs.
      store: Store.
      sizes: measuring.Sizes.
      test_images: how many the data set has.
      jobs: how many parts are made at a time, each in a process of its own; 0 makes them in this one, which starts
        seconds earlier.
      show_progress: whether a bar over all of them is shown.

    Raises:
      ValueError, OSError: see experiment.run and evaluation.evaluate; also a process that ended suddenly.
    """
    missing = [(part, images) for part, images, found in state(wanted, store, sizes, test_images) if found is None]
    with progress.bar(
        len(wanted), "everything", "part", initial=len(wanted) - len(missing), shown=show_progress
    ) as bar:
        if jobs:
            processes.make(missing, store, jobs, bar)
        else:
            for part, images in missing:
                bar.set_description(store.said(part))
                store.make(part, images)
                bar.update()
    keras.utils.clear_session()


def state(wanted, store, sizes, test_images):
    """(part, images that it is measured on, what it found or None) of each part.

    Args:
      wanted: list of parts.Part.
      store: Store.
      sizes: measuring.Sizes.
      test_images: how many the data set has.
    """
    found = []
    for part in wanted:
        # All of an exhibit have one data set.
        images = sizes.images(part, test_images)
        found.append((part, images, store.done(part, images)))
    return found


def plan(wanted, store, sizes, test_images):
    """What is to be done, model by model, with an estimate of its time: text for `--dry-run`.

    Args:
      wanted: list of parts.Part.
      store: Store.
      sizes: measuring.Sizes.
      test_images: how many the data set has.
    """
    lines, total, unknown, left = {}, 0.0, 0, 0
    for part, images, found in state(wanted, store, sizes, test_images):
        name = store.directory(part.model).name
        if found is not None:
            lines.setdefault(name, []).append(f"{parts.said(part)} (done)")
            continue
        left += 1
        value = estimate.remaining(part, store.config(part.model), sizes, images, store)
        total, unknown = total + (value or 0.0), unknown + (value is None)
        lines.setdefault(name, []).append(f"{parts.said(part)} {estimate.length(value)}")
    trainings = sum(part.kind == "train" for part in wanted)
    summary = f"{len(wanted)} parts ({trainings} models to train), {left} of them to do: about {estimate.length(total)}"
    if unknown:
        summary += f", and {unknown} for which no speed is known before the first is finished"
    width = max(map(len, lines))
    return "\n".join([*(f"  {name:<{width}}  {', '.join(done)}" for name, done in lines.items()), summary])


def _keep_for(keep, asked):
    """Makes the directory for that measurement; what was kept of one that was asked differently is of no use."""
    mark = keep / "asked.txt"
    if keep.exists() and not (mark.exists() and mark.read_text(encoding="utf-8") == asked):
        shutil.rmtree(keep)
    keep.mkdir(parents=True, exist_ok=True)
    files.write_text(mark, asked)
