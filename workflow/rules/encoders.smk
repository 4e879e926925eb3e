"""Phase encoders: the encoder that every neural recipe starts from.

REQUIRES  results/<scenario>/mixtures/<task>/<mixture>.parquet (training texts only)
MAKES     results/<scenario>/encoders/<source>/{model.safetensors,config.json,tokenizer*.json,card.json}
"""


rule encoders:
    input:
        # Nothing, where only linear recipes run.
        expand(f"{ENCODER}/{{file}}", file=[*ENCODER_FILES, "card.json"]) if NEURAL_CELLS else [],


rule encoder:
    input:
        mixtures=[
            f"{RESULTS}/mixtures/{m.task}/{m.name}.parquet"
            for m in recipes.list_encoder_mixtures(SETTINGS)
        ],
        folder=encoder_sources(),
        code=code("encoder"),
    output:
        expand(f"{ENCODER}/{{file}}", file=[*ENCODER_FILES, "card.json"]),
    log:
        f"{LOGS}/encoder.log",
    benchmark:
        f"{BENCHMARKS}/encoder.tsv"
    threads: 8
    resources:
        gpu=1,
    params:
        settings=as_json(recipes.describe_encoder(SETTINGS)),
    message:
        "Making the encoder"
    shell:
        "distilro encoder --settings {params.settings:q} --mixtures {input.mixtures}"
        f" --out {ENCODER} --records {RESULTS}/records"
        f" --checkpoints {RESULTS}/checkpoints/encoder"
        " --lock data/registry/encoders.lock.json"
        " --gpus {resources.gpu} --threads {threads} 2> {log}"
