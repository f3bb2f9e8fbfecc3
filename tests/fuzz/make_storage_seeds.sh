#!/bin/sh
# Writes the seeds of fuzz-checkpoint and fuzz-dataset: lists of changes, in the bytes that hdf5_changes.c reads. The first says
# what is put in order afterwards: 3 all checksums, 1 those of arrays, 0 nothing; 4 more leaves out the seal.
set -eu
cd "$(dirname "$0")/seeds"
mkdir -p checkpoint dataset

# seed FILE HEX...
seed() {
    file=$1
    shift
    : > "$file"
    for byte in "$@"; do
        printf '%b' "\\0$(printf '%o' "0x$byte")" >> "$file"
    done
}

# Checkpoints. Attributes: 00 OBJECT ATTRIBUTE KIND VALUE; objects and attributes as check_checkpoint.c numbers them.
seed checkpoint/unchanged 03
seed checkpoint/without-seal 07
seed checkpoint/negative-step 03 00 01 08 00 e0
seed checkpoint/step-of-another-name 03 00 01 08 00 09
seed checkpoint/largest-step 03 00 01 08 00 e8
seed checkpoint/largest-epoch 03 00 01 07 00 e8
seed checkpoint/negative-batch 03 00 01 09 00 ea
seed checkpoint/loss-is-no-number 03 00 01 0b 03 01 01
seed checkpoint/infinite-metric 03 00 01 0d 03 01 02
seed checkpoint/infinite-seconds 03 00 01 12 03 01 03
seed checkpoint/finished-somehow 03 00 01 11 00 63
seed checkpoint/negative-items 03 00 00 05 00 e0
seed checkpoint/too-many-items 03 00 00 05 00 e4
seed checkpoint/two-optimizers 03 00 00 06 00 02
seed checkpoint/no-optimizer 03 00 00 06 00 00
seed checkpoint/step-is-a-text 03 00 01 08 04 00 03 61 62 63
seed checkpoint/step-is-a-fraction 03 00 01 08 03 07 06
seed checkpoint/version-is-long 03 00 00 01 04 03 05 25 73 25 6e 0a
seed checkpoint/version-of-fixed-length 03 00 00 01 04 01 03 61 00 62
seed checkpoint/version-is-null 03 00 00 01 04 ff 00
seed checkpoint/no-complete 03 00 00 13 06
seed checkpoint/other-format 03 00 00 00 04 00 01 78
seed checkpoint/header-checksum-is-a-number 01 00 00 14 00 07
seed checkpoint/wrong-header-checksum 01 00 00 02 04 00 01 78
seed checkpoint/checksum-of-an-array-is-a-number 02 00 06 15 00 07
seed checkpoint/no-checksum-of-an-array 02 00 06 15 06
seed checkpoint/no-configuration 03 03 02 02 05
seed checkpoint/configuration-of-two-gigabytes 03 04 02 01 86 0a 00 07 ff
seed checkpoint/configuration-is-empty 03 04 02 00 ff 00 ff
seed checkpoint/configuration-is-a-number 03 04 02 01 00 00 00 00
seed checkpoint/configuration-is-variable 03 04 02 01 80 00 00 00 00
seed checkpoint/no-group-of-parameters 03 03 03 02 05
seed checkpoint/no-parameter 03 03 06 02 05
seed checkpoint/another-parameter 03 04 07 00 00 00 00
seed checkpoint/parameter-is-a-group 03 03 06 02 04
seed checkpoint/parameter-is-another 03 03 05 04 01
seed checkpoint/parameter-is-elsewhere 03 03 05 04 02
seed checkpoint/parameter-is-itself 03 03 05 05 02
seed checkpoint/parameter-is-in-another-file 03 03 05 04 03
seed checkpoint/parameter-of-integers 03 04 06 01 00 00 00 00
seed checkpoint/parameter-of-doubles 03 04 06 01 03 00 00 00
seed checkpoint/parameter-big-endian 03 04 06 01 0a 00 00 00
seed checkpoint/parameter-of-texts 03 04 06 01 86 03 00 00 00
seed checkpoint/parameter-of-another-shape 03 04 05 00 02 e0 00 00
seed checkpoint/parameter-of-no-rows 03 04 05 00 02 00 00 00
seed checkpoint/parameter-of-more-rows-than-memory 03 04 05 00 02 e8 07 00
seed checkpoint/parameter-of-four-dimensions 03 04 05 00 01 04 02 02 02 02 02 00 00
seed checkpoint/parameter-in-chunks 03 04 04 00 00 01 00
seed checkpoint/parameter-deflated 03 04 04 00 00 02 00
seed checkpoint/parameter-compact 03 04 04 00 00 04 00
seed checkpoint/parameter-outside 03 04 04 00 00 85 00
seed checkpoint/parameter-without-contents 03 04 04 00 00 07 ff
seed checkpoint/contents-changed 03 06 04 00 03 7f
seed checkpoint/contents-are-no-number 03 06 04 00 03 ff 06 04 00 02 ff
seed checkpoint/contents-damaged 02 06 04 00 03 7f
seed checkpoint/no-moments 03 03 09 02 05
seed checkpoint/moment-of-another-shape 03 04 0b 00 02 e0 00 00
seed checkpoint/moments-are-parameters 03 03 09 03 01

# Data sets: 00 index, 01 and 02 shards; then as above, with the numbers of check_dataset.c. Elements: 06 OBJECT 01 PLACE VALUE.
seed dataset/unchanged 03
seed dataset/without-seal 07
seed dataset/offset-far-below 03 01 06 00 01 02 ea
seed dataset/offset-far-above 03 01 06 00 01 02 e8
seed dataset/offsets-far-apart 03 01 06 00 01 01 e8 01 06 00 01 02 ea
seed dataset/offset-negative 03 01 06 00 01 01 e0
seed dataset/offset-decreases 03 01 06 00 01 01 05
seed dataset/offsets-begin-late 03 01 06 00 01 00 01
seed dataset/offsets-end-late 03 02 06 00 01 03 63
seed dataset/item-zero 03 01 06 01 01 02 00
seed dataset/item-negative 03 02 06 01 01 02 e0
seed dataset/item-too-large 03 01 06 01 01 02 06
seed dataset/item-far-too-large 03 01 06 01 01 02 e4
seed dataset/item-changed 03 01 06 01 01 02 02
seed dataset/time-decreases 03 01 06 02 01 01 00
seed dataset/time-far-apart 03 01 06 02 01 00 ea 01 06 02 01 02 e8
seed dataset/train-end-negative 03 01 06 03 01 01 e0
seed dataset/train-end-behind 03 01 06 03 01 01 7f
seed dataset/valid-end-far-behind 03 01 06 04 01 01 e4
seed dataset/popularity-negative 03 00 06 08 01 02 ea
seed dataset/interactions-of-another-item 03 00 06 09 01 02 07
seed dataset/first-user-elsewhere 03 00 06 0a 01 01 e0
seed dataset/contents-damaged 00 01 06 01 01 02 02
seed dataset/users-negative 03 00 00 0c 01 00 ea
seed dataset/users-are-too-many 03 00 00 0c 01 00 ec
seed dataset/one-user-more 03 00 00 0c 01 00 07
seed dataset/items-are-too-many 03 00 00 0c 02 00 e5
seed dataset/shards-are-too-many 03 00 00 0c 04 00 06
seed dataset/longest-is-longer 03 00 00 0c 09 00 e4
seed dataset/longest-is-shorter 03 00 00 0c 09 00 01
seed dataset/no-times 03 00 00 0c 05 00 00
seed dataset/has-times-somehow 03 00 00 0c 05 00 02
seed dataset/split-is-long 03 00 00 0c 06 04 03 05 25 73 25 6e 0a
seed dataset/split-is-null 03 00 00 0c 06 04 ff 00
seed dataset/another-fingerprint 01 01 00 0c 07 04 00 01 78
seed dataset/another-shard 03 01 00 0c 0a 00 01
seed dataset/shard-begins-elsewhere 03 02 00 0c 0b 00 00
seed dataset/no-checksum 02 00 00 08 0c 06
seed dataset/checksum-is-a-number 02 00 00 08 0c 00 07
seed dataset/names-without-end 03 00 04 06 00 02 ee 01 00 00 00 0c 01 00 ee
seed dataset/names-of-two-gigabytes 03 00 04 06 01 86 0a 00 07 ff
seed dataset/names-of-which-sizes-overflow 03 00 04 06 01 86 07 02 f7 02 00 00 00 00 00 00 00 07 00 00 0c 01 00 f7 02 00 00 00 00 00 00 00
seed dataset/names-of-variable-length 03 00 04 06 01 80 00 00 00 00
seed dataset/names-of-one-byte 03 00 04 07 01 86 00 00 00 00
seed dataset/names-are-numbers 03 00 04 07 01 00 00 00 00
seed dataset/items-of-64-bits 03 01 04 01 01 01 00 00 00
seed dataset/items-big-endian 03 01 04 01 01 08 00 00 00
seed dataset/items-are-floats 03 01 04 01 01 02 00 00 00
seed dataset/items-in-two-dimensions 03 01 04 01 00 01 02 05 05 00 00
seed dataset/items-in-chunks 03 01 04 01 00 00 01 00
seed dataset/items-deflated 03 01 04 01 00 00 02 00
seed dataset/items-compact 03 01 04 01 00 00 04 00
seed dataset/items-outside 03 01 04 01 00 00 85 00
seed dataset/items-without-contents 03 01 04 01 00 00 07 ff
seed dataset/items-without-end 03 01 04 01 00 02 ee 01 00
seed dataset/one-item-less 03 01 04 01 00 02 e0 00 00
seed dataset/no-items 03 01 04 01 00 02 00 00 00
seed dataset/no-offsets 03 01 03 00 01 05
seed dataset/times-are-items 03 01 03 02 01 01
seed dataset/train-end-is-valid-end 03 01 03 03 04 01
seed dataset/offsets-are-themselves 03 01 03 00 00 02
seed dataset/offsets-in-another-file 03 01 03 00 01 03
seed dataset/items-are-a-group 03 01 03 01 02 04
seed dataset/no-users 03 00 03 05 01 05
seed dataset/shards-are-a-dataset 03 00 04 0b 01 01 00 00 00
