"""Messages of the library in the words of the command line."""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["FLAG", "use_options"]

#: Marks an option without a value.
FLAG = " "

#: Advice of the library for which a command has an option or no use.
PHRASES = {
    "Drop the column class_name to learn only boxes.": "Add --no-classes to learn only boxes.",
    " of read_annotations": "",
    " In cross-validation, rows sorted by class and an unshuffled cv=3 cause this; pass "
    "cv=StratifiedBoxKFold(3).": "",
}

#: Advice to pass sizes, with what may follow; there is no option for them.
SIZES = re.compile(
    r"Pass sizes=\{[^}]*\}\.(?: Or pass images_dir= with the folder of the images\.)?"
)
FOLDER = "Pass images_dir= with the folder of the images."

#: A value in Python, as messages show it.
VALUE = r"'[^']*'|\"[^\"]*\"|\([^()]*\)|[\w.+-]*\w"
#: What was received is not advice.
RECEIVED = re.compile(r"(Received:? .*?(?:\. |$))", re.DOTALL)


def use_options(message: str, options: Mapping[str, str]) -> str:
    """Replace Python's arguments in advice, such as ``overwrite=True``, by options.

    Parameters
    ----------
    message : str
    options : dict of str to str
        The option for each argument; one that ends in ``FLAG`` has no value, and one that ends in
        ``=`` is followed by the value.

    Returns
    -------
    str
    """
    for phrase, replacement in PHRASES.items():
        message = message.replace(phrase, replacement)
    message = SIZES.sub(FOLDER, message)
    if not options:
        return message
    names = "|".join(sorted(map(re.escape, options), key=len, reverse=True))
    pattern = re.compile(rf"(?<![\w.-])(?<!--set )({names})=({VALUE})?(?![\w=])")

    def replace(match: re.Match[str]) -> str:
        option, value = options[match[1]], match[2]
        if option.endswith(FLAG):
            return option.removesuffix(FLAG)
        if value is None:
            return option.removesuffix("=")
        value = value.strip("'\"")
        return f"{option}{value}" if option.endswith("=") else f"{option} {value}"

    parts = RECEIVED.split(message)
    return "".join(
        part if part.startswith("Received") else pattern.sub(replace, part) for part in parts
    )
