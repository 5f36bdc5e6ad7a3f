"""What vLLM must find in the environment when it is imported: import this first."""

import logging
import os

_SETTINGS = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # its process is one of its own already, and one that dies with its parent
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_CPU_KVCACHE_SPACE": "1",
}
for _name, _value in _SETTINGS.items():
    os.environ.setdefault(_name, _value)
logging.getLogger("vllm").setLevel(os.environ["VLLM_LOGGING_LEVEL"])
