"""Phase encoders: the encoder that every neural recipe starts from, and smaller ones made from it.

REQUIRES  results/<scenario>/mixtures/texts.parquet, where an encoder learns from texts
MAKES     results/<scenario>/encoders/{<source>,students/<student>}/{model.safetensors,config.json,
          tokenizer*.json,card.json}
"""


rule encoders:
    input:
        # Nothing, where only linear recipes run.
        expand(f"{ENCODER}/{{file}}", file=[*ENCODER_FILES, "card.json"]) if NEURAL_CELLS else [],
        expand(
            f"{RESULTS}/encoders/students/{{student}}/{{file}}",
            student=STUDENTS,
            file=[*ENCODER_FILES, "card.json"],
        ),


rule encoder:
    input:
        texts=texts_files()[:1] if SETTINGS.encoders.learns_texts() else [],
        folder=encoder_sources(),
        code=code("encoder"),
    output:
        expand(f"{ENCODER}/{{file}}", file=[*ENCODER_FILES, "card.json"]),
    log:
        f"{LOGS}/encoder.log",
    benchmark:
        f"{BENCHMARKS}/encoder.tsv"
    threads: SETTINGS.training.threads
    resources:
        gpu=SETTINGS.training.gpus,
    params:
        settings=as_json(SETTINGS.encoders.describe()),
        texts=lambda wildcards, input: f" --texts {input.texts}" if input.texts else "",
    message:
        "Making the encoder"
    shell:
        "distilro encoder --settings {params.settings:q}{params.texts}"
        f" --out {ENCODER} --records {RESULTS}/records"
        f" --checkpoints {RESULTS}/checkpoints/encoder"
        " --lock data/registry/encoders.lock.json"
        " --gpus {resources.gpu} --threads {threads} 2> {log}"


rule student_encoder:
    input:
        texts=texts_files()[:1],
        teacher=expand(f"{ENCODER}/{{file}}", file=ENCODER_FILES),
        others=other_teachers,
        code=code("student_encoder"),
    output:
        expand(
            f"{RESULTS}/encoders/students/{{{{student}}}}/{{file}}",
            file=[*ENCODER_FILES, "card.json"],
        ),
    log:
        f"{LOGS}/student_encoder/{{student}}.log",
    benchmark:
        f"{BENCHMARKS}/student_encoder/{{student}}.tsv"
    threads: SETTINGS.training.threads
    resources:
        gpu=SETTINGS.training.gpus,
    params:
        settings=lambda wildcards: as_json(recipes.describe_student(wildcards.student, SETTINGS)),
        teachers=lambda wildcards: " ".join(
            [ENCODER, *SETTINGS.encoders.students[wildcards.student].teachers]
        ),
    message:
        "Distilling the encoder {wildcards.student}"
    shell:
        "distilro student-encoder --name {wildcards.student} --settings {params.settings:q}"
        " --teachers {params.teachers} --texts {input.texts}"
        f" --out {RESULTS}/encoders/students/{{wildcards.student}} --records {RESULTS}/records"
        f" --checkpoints {RESULTS}/checkpoints/students/{{wildcards.student}}"
        " --gpus {resources.gpu} --threads {threads} 2> {log}"
