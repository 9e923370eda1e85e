"""What the commands share: reading flags and a config file with overrides, and errors without tracebacks."""

import contextlib
import logging
import os
import pathlib
import platform
import re
import sys
import tempfile

from absl import flags
from ml_collections import config_flags

from alp_tf import names

_FRACTION = re.compile(r"(-{1,2}config\.[\w.]+=)(\d+(?:\.\d+)?/\d+(?:\.\d+)?)")
_OVERRIDE = re.compile(r"-{1,2}config\.([\w.]+)(?:=.*)?", re.DOTALL)


def run(command, argv=None):
    """Runs a command and exits: 0, or 2 with one line for what the user can put right, or 130 when interrupted.

    An error with an `exit_status` of its own ends with that.

    Args:
      command: function of the arguments after the command's name.
      argv: arguments with the command's name first; None for the process's own.
    """
    argv = sys.argv if argv is None else argv
    # TensorFlow sets absl's handler up on the root logger; ours must not also print there.
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger = logging.getLogger("alp_tf")
    logger.handlers, logger.propagate = [handler], False
    try:
        command(argv[1:])
    except (ValueError, OSError, flags.Error) as error:
        if os.environ.get("ALP_TF_TRACEBACK"):
            raise
        print(f"error: {_one_line(error)}", file=sys.stderr)
        # A lost worker is no mistake of the user's: what started this one may try again.
        sys.exit(getattr(error, "exit_status", 2))
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from the last checkpoint", file=sys.stderr)
        sys.exit(130)


def load_tensorflow():
    """Imports TensorFlow without its start-up chatter, and with oneDNN; what it printed is shown if it fails.

    Its C++ libraries write to the process's error stream before any of their settings apply, so the stream itself is
    set aside for that moment.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    if platform.machine() in ("x86_64", "AMD64"):
        # By itself TensorFlow leaves it off where there is no AVX-512 VNNI, and a step of all but the smallest networks
        # then takes half as long again (docs/benchmarks.md).
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as chatter:
        os.dup2(chatter.fileno(), 2)
        try:
            import tensorflow as tf

            tf.config.list_physical_devices()
        except BaseException:
            chatter.seek(0)
            os.write(kept, chatter.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def parse(arguments, flag_values, doc):
    """Parses absl flags; `--help` prints the command's docstring and flags, and exits.

    Args:
      arguments: without the command's name.
      flag_values: the command's absl FlagValues.
      doc: the command's module docstring.

    Raises:
      absl.flags.Error: an unknown flag or value.
      ValueError: an argument that is no flag.
    """
    if {"--help", "-h", "-help", "--helpfull"} & set(arguments):
        print(doc.strip(), "\n\nFlags:")
        for name in sorted(flag_values):
            flag = flag_values[name]
            standard = "" if flag.default is None else f" (default: {flag.default})"
            print(f"  --{name}: {flag.help}{standard}")
        sys.exit(0)
    left = flag_values(["alp_tf", *arguments])[1:]
    if left:
        raise ValueError(f"unexpected argument {left[0]!r}; flags are written --name=value, see --help")


def read_config(arguments):
    """Reads `--config=FILE` and its `--config.field=value` overrides.

    Args:
      arguments: all arguments of the command; a value may be a fraction, `--config.defense.attack.epsilon=8/255`.

    Returns:
      (config, name of the experiment, set of the overridden dotted fields, arguments without those of the config).

    Raises:
      ValueError: no such file or field; names the nearest.
    """
    mine, others = _split(arguments)
    mine = _fractions(mine)
    plain = [argument for argument in mine if not _OVERRIDE.fullmatch(argument)]
    path = _config_path(plain)
    load_tensorflow()
    overridden = [match[1] for match in map(_OVERRIDE.fullmatch, mine) if match]
    if overridden:
        config = _load(plain)
        for field in overridden:
            _check_field(config, field)
    return _load(mine), path.stem, {f"config.{field}" for field in overridden}, others


def config_files(folder):
    """The paths of a directory's files that have a get_config(), sorted."""
    return [file for file in sorted(pathlib.Path(folder).glob("*.py")) if b"def get_config(" in file.read_bytes()]


def _load(arguments):
    flag_values = flags.FlagValues()
    argv = ["alp_tf", *arguments]
    config_flags.DEFINE_config_file("config", flag_values=flag_values, sys_argv=argv)
    try:
        flag_values(argv)
    except flags.IllegalFlagValueError as error:
        cause = _raised_by_the_file(error)
        if cause is None:
            raise
        said = str(cause) if isinstance(cause, ValueError) else f"{type(cause).__name__}: {cause}"
        raise ValueError(f"{_config_path(arguments[:1])}: {said}") from error
    except TypeError as error:
        raise ValueError(f"a --config field has a value of the wrong type: {error}") from error
    return flag_values.config


def _raised_by_the_file(error):
    """The exception behind absl's; ml_collections raises another of its kind, with the traceback as its message."""
    wrapped = error.__context__
    return wrapped.__context__ if str(wrapped).startswith("Error whilst parsing config file") else None


@contextlib.contextmanager
def plain_flags():
    """Mistakes in a data set's options are told with this command's flags: `--data_dir`, not `--config.dataset...`.

    Raises:
      ValueError: as it is raised inside, with the other spelling.
    """
    try:
        yield
    except ValueError as error:
        said = re.sub(r"(--)?config\.dataset\.", "--", str(error))
        raise ValueError(said) from error


def number(name, text):
    """A number as papers print it: `0.3` or `8/255`.

    Args:
      name: what the user typed it for, such as `--epsilon`.
      text: the number.

    Raises:
      ValueError: it is none.
    """
    top, slash, bottom = text.partition("/")
    try:
        return float(top) / float(bottom) if slash else float(top)
    except (ValueError, ZeroDivisionError):
        raise ValueError(f"{name} is {text!r}; it must be a number or a fraction, such as 8/255") from None


def _split(arguments):
    mine, others, rest = [], [], iter(arguments)
    for argument in rest:
        # `--config FILE` and `--config.field value` are absl's other spelling.
        if re.fullmatch(r"-{1,2}config(\.[\w.]+)?", argument):
            mine.append(f"{argument}={next(rest, '')}")
        else:
            (mine if re.match(r"-{1,2}config(\.[\w.]+)?=", argument) else others).append(argument)
    return mine, others


def _fractions(arguments):
    for index, argument in enumerate(arguments):
        match = _FRACTION.fullmatch(argument)
        if match:
            arguments[index] = f"{match[1]}{number(match[1].rstrip('='), match[2])!r}"
    return arguments


def _config_path(plain):
    if not plain:
        raise ValueError("no experiment given; write --config=experiments/NAME.py, see --help")
    # ml_collections takes `file.py:argument`.
    path = pathlib.Path(plain[-1].split("=", 1)[1].split(":")[0])
    if not path.is_file():
        folder = path.parent if path.parent.is_dir() else pathlib.Path("experiments")
        there = config_files(folder)
        if not there:
            raise ValueError(
                f"there is no config file {str(path)!r}, and no other in {folder}/; cd into a clone of alp_tf, which "
                "has experiments/, or write the path of a file with get_config()"
            )
        names.lookup("config file", str(path), [str(file) for file in there])
    return path


def _check_field(config, dotted):
    node, walked = config, "config"
    for part in dotted.split("."):
        if not hasattr(node, "keys"):
            raise ValueError(f"{walked} is a value, not a group of fields: there is no --config.{dotted}")
        names.lookup(f"field of {walked}", part, list(node.keys()))
        node, walked = node[part], f"{walked}.{part}"
    if hasattr(node, "keys"):
        raise ValueError(f"{walked} is a group of fields; set one of them: {', '.join(sorted(node.keys()))}")


def _one_line(error):
    if isinstance(error, OSError) and error.errno is not None:
        where = f" ({error.filename})" if error.filename else ""
        full = "; what was finished before is kept, make room and run the same command again"
        return f"{error.strerror}{where}{full if error.errno == 28 else ''}"
    return " ".join(str(error).split())
