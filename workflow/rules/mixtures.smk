"""Phase mixtures: what leaks, and the training sets without it.

REQUIRES  data/prepared/<dataset>/<split>.parquet
MAKES     results/<scenario>/mixtures/{audit.parquet,audit.json,<task>/<mixture>.{parquet,json}},
          results/<scenario>/mixtures/texts.{parquet,json}, where an encoder learns from texts
"""


rule mixtures:
    input:
        f"{RESULTS}/mixtures/audit.parquet",
        f"{RESULTS}/mixtures/audit.json",
        [f"{RESULTS}/mixtures/{m.task}/{m.name}.parquet" for m in MIXTURES],
        [f"{RESULTS}/mixtures/{m.task}/{m.name}.json" for m in MIXTURES],
        texts_files(),


rule audit:
    input:
        prepared=[f"data/prepared/{d}/{split}.parquet" for d in DATASETS for split in SPLITS[d]],
        code=code("audit"),
    output:
        pairs=f"{RESULTS}/mixtures/audit.parquet",
        summary=f"{RESULTS}/mixtures/audit.json",
    log:
        f"{LOGS}/audit.log",
    benchmark:
        f"{BENCHMARKS}/audit.tsv"
    params:
        settings=as_json({"jaccard": SETTINGS.mixtures.near_duplicate_jaccard}),
    message:
        "Auditing all corpora for duplicates across splits"
    shell:
        "distilro audit --settings {params.settings:q} "
        f" --prepared {' '.join(f'data/prepared/{d}' for d in DATASETS)}"
        " --out {output.pairs} --summary {output.summary} 2> {log}"


rule mix:
    input:
        prepared=lambda wildcards: [
            f"data/prepared/{dataset}/train.parquet"
            for dataset in recipes.list_datasets_of(wildcards.task, wildcards.mixture, SETTINGS)
        ],
        audit=f"{RESULTS}/mixtures/audit.parquet",
        code=code("mix"),
    output:
        mixture=f"{RESULTS}/mixtures/{{task}}/{{mixture}}.parquet",
        manifest=f"{RESULTS}/mixtures/{{task}}/{{mixture}}.json",
    log:
        f"{LOGS}/mix/{{task}}-{{mixture}}.log",
    benchmark:
        f"{BENCHMARKS}/mix/{{task}}-{{mixture}}.tsv"
    params:
        settings=mixture_settings,
    message:
        "Mixing {wildcards.task} as {wildcards.mixture}"
    shell:
        "distilro mix --settings {params.settings:q} --prepared data/prepared"
        " --audit {input.audit} --out {output.mixture} --manifest {output.manifest} 2> {log}"


rule texts:
    input:
        passages=expand("data/prepared/texts/{collection}.parquet", collection=COLLECTIONS),
        prepared=[f"data/prepared/{d}/{split}.parquet" for d in ALL_DATASETS for split in SPLITS[d]],
        audit=f"{RESULTS}/mixtures/audit.parquet",
        code=code("texts"),
    output:
        texts=f"{RESULTS}/mixtures/texts.parquet",
        summary=f"{RESULTS}/mixtures/texts.json",
    log:
        f"{LOGS}/texts.log",
    benchmark:
        f"{BENCHMARKS}/texts.tsv"
    params:
        settings=as_json(recipes.describe_texts(SETTINGS)),
    message:
        "Joining the texts that the encoder learns from"
    shell:
        "distilro texts --settings {params.settings:q} --passages {input.passages}"
        " --prepared data/prepared --audit {input.audit} --out {output.texts}"
        " --summary {output.summary} 2> {log}"
