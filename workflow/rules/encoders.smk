"""Phase encoders: the encoder that every neural recipe starts from.

REQUIRES  results/<scenario>/mixtures/<task>/<mixture>.parquet (training texts only)
MAKES     results/<scenario>/encoders/<source>/{model.safetensors,config.json,tokenizer*.json,card.json}
"""

ENCODER = f"{RESULTS}/encoders/{SETTINGS.encoders.source}"


rule encoders:
    input:
        expand(f"{ENCODER}/{{file}}", file=[*ENCODER_FILES, "card.json"]),


rule encoder:
    input:
        mixtures=[f"{RESULTS}/mixtures/{m.task}/{m.name}.parquet" for m in recipes.list_encoder_mixtures(SETTINGS)],
        code=code("encoder"),
    output:
        expand(f"{ENCODER}/{{file}}", file=[*ENCODER_FILES, "card.json"]),
    log:
        f"{LOGS}/encoder.log",
    benchmark:
        f"{BENCHMARKS}/encoder.tsv"
    message:
        "Making the encoder"
    threads: 8
    resources:
        gpu=1,
    params:
        settings=as_json(SETTINGS.encoders.model_dump(mode="json")),
        out=ENCODER,
        records=f"{RESULTS}/records",
    shell:
        "distilro encoder --settings {params.settings:q} --mixtures {input.mixtures}"
        " --out {params.out} --records {params.records}"
        " --gpus {resources.gpu} --threads {threads} 2> {log}"
