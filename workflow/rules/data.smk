"""Phase data: corpora as published, and as examples.

REQUIRES  data/registry/<dataset>.yaml, the network or DISTILRO_MIRROR (fetch only)
MAKES     data/raw/<dataset>/manifest.json, data/prepared/<dataset>/{<split>.parquet,summary.json},
          data/raw/texts/<collection>/manifest.json, data/prepared/texts/<collection>.parquet
"""


rule data:
    input:
        [f"data/prepared/{d}/{split}.parquet" for d in ALL_DATASETS for split in SPLITS[d]],
        expand("data/prepared/{dataset}/summary.json", dataset=ALL_DATASETS),
        expand("data/prepared/texts/{collection}.parquet", collection=COLLECTIONS),


rule fetch:
    input:
        registry="data/registry/{dataset}.yaml",
        files=local_sources,
        code=code("fetch"),
    output:
        manifest="data/raw/{dataset}/manifest.json",
    log:
        f"{LOGS}/fetch/{{dataset}}.log",
    benchmark:
        f"{BENCHMARKS}/fetch/{{dataset}}.tsv"
    message:
        "Fetching {wildcards.dataset}"
    shell:
        "distilro fetch --dataset {wildcards.dataset} --registry data/registry"
        " --out {output.manifest} 2> {log}"


rule prepare:
    input:
        registry=["data/registry/{dataset}.yaml", "data/registry/tasks.yaml"],
        manifest="data/raw/{dataset}/manifest.json",
        code=code("prepare"),
    output:
        train="data/prepared/{dataset}/train.parquet",
        valid="data/prepared/{dataset}/valid.parquet",
        test="data/prepared/{dataset}/test.parquet",
        summary="data/prepared/{dataset}/summary.json",
    log:
        f"{LOGS}/prepare/{{dataset}}.log",
    benchmark:
        f"{BENCHMARKS}/prepare/{{dataset}}.tsv"
    wildcard_constraints:
        dataset="|".join(d for d in ALL_DATASETS if d not in TESTS_ALONE),
    params:
        label_map=lambda wildcards: SETTINGS.data.label_maps.get(wildcards.dataset, "default"),
    message:
        "Preparing {wildcards.dataset}"
    shell:
        "distilro prepare --dataset {wildcards.dataset} --registry data/registry"
        " --manifest {input.manifest} --label-map {params.label_map}"
        " --out data/prepared/{wildcards.dataset} 2> {log}"


use rule prepare as prepare_test with:
    output:
        test="data/prepared/{dataset}/test.parquet",
        summary="data/prepared/{dataset}/summary.json",
    wildcard_constraints:
        dataset="|".join(TESTS_ALONE) or "(?!)",


rule fetch_texts:
    input:
        registry="data/registry/texts/{collection}.yaml",
        files="data/registry/texts/{collection}.tsv",
        code=code("fetch_texts"),
    output:
        manifest="data/raw/texts/{collection}/manifest.json",
    log:
        f"{LOGS}/fetch_texts/{{collection}}.log",
    benchmark:
        f"{BENCHMARKS}/fetch_texts/{{collection}}.tsv"
    message:
        "Fetching the texts {wildcards.collection}"
    shell:
        "distilro fetch-texts --collection {wildcards.collection} --registry data/registry"
        " --out {output.manifest} 2> {log}"


rule clean_texts:
    input:
        registry="data/registry/texts/{collection}.yaml",
        manifest="data/raw/texts/{collection}/manifest.json",
        code=code("clean_texts"),
    output:
        passages="data/prepared/texts/{collection}.parquet",
    log:
        f"{LOGS}/clean_texts/{{collection}}.log",
    benchmark:
        f"{BENCHMARKS}/clean_texts/{{collection}}.tsv"
    message:
        "Cleaning the texts {wildcards.collection}"
    shell:
        "distilro clean-texts --collection {wildcards.collection} --registry data/registry"
        " --manifest {input.manifest} --out {output.passages} 2> {log}"
