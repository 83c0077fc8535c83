#!/bin/sh
# NAS_DATA=path/to/parquet sh docs/results/jobs/run.sh SET [RUN_DIR]: trains what has no record yet; again goes on.
# Seeds 0, 1 and 2 of every single design, one of each random twin. More flags of `python -m trials`: $FLAGS.
set -eu
: "${NAS_DATA:?the folder that holds the datasets, a directory of Parquet files each}"
here=$(cd "$(dirname "$0")" && pwd)
case ${1:-} in
    cifar10) data=cifar10_jpeg ;;
    spoken) data=free_spoken_digit ;;
    omniglot) data=omniglot_small ;;
    adrenal) data=adrenalmnist3d_32 ;;
    *) echo "a set is one of: $(cd "$here" && echo */), got '${1:-}'" >&2; exit 2 ;;
esac
to=${2:-runs/$1}
mkdir -p "$to"
[ -e "$to/config.json" ] || cp "$here/$1/plan.json" "$to/config.json"
PYTHONPATH="$here/../../.."
export PYTHONPATH
"${PYTHON:-python3}" -c "import numpy, PIL, pyarrow, safetensors, sklearn, torch"
for design in "$here/$1"/*.json; do
    name=$(basename "$design" .json)
    [ "$name" = plan ] && continue
    case $name in twin.*) seeds=${name#twin.} ;; *) seeds="0 1 2" ;; esac
    for seed in $seeds; do
        # a failed trial (1) has a record that says why
        "${PYTHON:-python3}" -m trials "$design" --task "$NAS_DATA/$data" --seed "$seed" --to "$to" ${FLAGS:-} ||
            [ $? -eq 1 ]
    done
done
