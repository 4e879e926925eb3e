"""Phase data: corpora as published, and as examples.

REQUIRES  data/registry/<dataset>.yaml, the network or DISTILRO_MIRROR (fetch only)
MAKES     data/raw/<dataset>/manifest.json, data/prepared/<dataset>/{<split>.parquet,summary.json}
"""


rule data:
    input:
        [f"data/prepared/{d}/{split}.parquet" for d in DATASETS for split in SPLITS[d]],
        expand("data/prepared/{dataset}/summary.json", dataset=DATASETS),


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
    params:
        label_map=lambda wildcards: SETTINGS.data.label_maps.get(wildcards.dataset, "default"),
    message:
        "Preparing {wildcards.dataset}"
    shell:
        "distilro prepare --dataset {wildcards.dataset} --registry data/registry"
        " --manifest {input.manifest} --label-map {params.label_map}"
        " --out data/prepared/{wildcards.dataset} 2> {log}"
