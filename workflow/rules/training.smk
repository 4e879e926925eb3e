"""Phase training: teachers, their logits, students.

REQUIRES  results/<scenario>/{mixtures,encoders}, data/prepared/<dataset>/valid.parquet
MAKES     results/<scenario>/models/<recipe>/<scope>/seed<k>/{model.safetensors,config.json,...,card.json}
          results/<scenario>/logits/<recipe>/<scope>/seed<k>/<task>-<mixture>.{safetensors,json}
          results/<scenario>/logits/<recipe>/<scope>/seed<k>-folds/<task>.{safetensors,json}

A teacher is any trained model that a recipe names; its logits on a mixture are stored once. The
models of a teacher's folds leave logits and a card, and are not kept.
"""


rule training:
    input:
        [file for cell in CELLS for file in model_files(cell.recipe, cell.scope)],
        [
            file
            for cell in CELLS
            for mixture in recipes.list_logits_of(cell, SETTINGS)
            for file in logits_files(cell.recipe, cell.scope, mixture)
        ],
        [
            file
            for cell in CELLS
            for mixture in recipes.list_fold_questions(cell, SETTINGS)
            for file in fold_files(cell.recipe, cell.scope, mixture.task)
        ],


rule train_linear:
    input:
        data=training_inputs,
        code=code("train_linear"),
    output:
        expand(
            f"{RESULTS}/models/{{{{recipe}}}}/{{{{scope}}}}/seed{{seed}}/{{file}}",
            seed=SEEDS[:1],
            file=LINEAR_FILES,
        ),
    log:
        f"{LOGS}/train/{{recipe}}-{{scope}}.log",
    benchmark:
        f"{BENCHMARKS}/train/{{recipe}}-{{scope}}.tsv"
    wildcard_constraints:
        recipe=LINEAR_RECIPE,
    params:
        settings=training_settings,
    message:
        "Training {wildcards.recipe} for {wildcards.scope}"
    shell:
        "distilro train-linear --cell {wildcards.recipe}/{wildcards.scope}"
        " --settings {params.settings:q} --prepared data/prepared"
        f" --results {RESULTS}"
        " 2> {log}"


rule train:
    input:
        data=training_inputs,
        encoder=encoder_of,
        code=code("train"),
    output:
        expand(
            f"{RESULTS}/models/{{{{recipe}}}}/{{{{scope}}}}/seed{{seed}}/{{file}}",
            seed=SEEDS,
            file=MODEL_FILES,
        ),
    log:
        f"{LOGS}/train/{{recipe}}-{{scope}}.log",
    benchmark:
        f"{BENCHMARKS}/train/{{recipe}}-{{scope}}.tsv"
    wildcard_constraints:
        recipe=NEURAL_RECIPE,
    threads: SETTINGS.training.threads
    resources:
        gpu=training_gpus,
    params:
        settings=training_settings,
        encoder=lambda wildcards, input: Path(input.encoder[0]).parent,
        program=training_program,
    message:
        "Training {wildcards.recipe} for {wildcards.scope}, every seed"
    shell:
        "{params.program} train --cell {wildcards.recipe}/{wildcards.scope}"
        " --settings {params.settings:q} --prepared data/prepared"
        " --encoder {params.encoder}"
        f" --results {RESULTS}"
        " --gpus {resources.gpu} --threads {threads} 2> {log}"


rule logits:
    input:
        models=lambda wildcards: model_files(wildcards.recipe, wildcards.scope),
        mixture=f"{RESULTS}/mixtures/{{task}}/{{mixture}}.parquet",
        code=code("logits"),
    output:
        expand(
            f"{RESULTS}/logits/{{{{recipe}}}}/{{{{scope}}}}/seed{{seed}}/{{{{task}}}}-{{{{mixture}}}}.{{end}}",
            seed=SEEDS,
            end=["safetensors", "json"],
        ),
    log:
        f"{LOGS}/logits/{{recipe}}-{{scope}}-{{task}}-{{mixture}}.log",
    benchmark:
        f"{BENCHMARKS}/logits/{{recipe}}-{{scope}}-{{task}}-{{mixture}}.tsv"
    wildcard_constraints:
        recipe=NEURAL_RECIPE,
    threads: SETTINGS.training.threads
    resources:
        gpu=SETTINGS.training.gpus,
    params:
        seeds=" ".join(map(str, SEEDS)),
    message:
        "Storing the logits of {wildcards.recipe}/{wildcards.scope} on {wildcards.task}-{wildcards.mixture}"
    shell:
        "distilro logits --cell {wildcards.recipe}/{wildcards.scope} --task {wildcards.task}"
        " --mixture {input.mixture} --seeds {params.seeds}"
        f" --results {RESULTS}"
        " --gpus {resources.gpu} --threads {threads} 2> {log}"


use rule logits as logits_linear with:
    output:
        expand(
            f"{RESULTS}/logits/{{{{recipe}}}}/{{{{scope}}}}/seed{{seed}}/{{{{task}}}}-{{{{mixture}}}}.{{end}}",
            seed=SEEDS[:1],
            end=["safetensors", "json"],
        ),
    wildcard_constraints:
        recipe=LINEAR_RECIPE,
    threads: 1
    resources:
        gpu=0,
    params:
        seeds=SEEDS[0],


rule folds:
    input:
        data=fold_inputs,
        encoder=encoder_of,
        code=code("train_folds"),
    output:
        expand(
            f"{RESULTS}/models/{{{{recipe}}}}/{{{{scope}}}}/seed{{seed}}-folds/card.json",
            seed=SEEDS,
        ),
        expand(
            f"{RESULTS}/logits/{{{{recipe}}}}/{{{{scope}}}}/seed{{seed}}-folds/{{{{scope}}}}.{{end}}",
            seed=SEEDS,
            end=["safetensors", "json"],
        ),
    log:
        f"{LOGS}/folds/{{recipe}}-{{scope}}.log",
    benchmark:
        f"{BENCHMARKS}/folds/{{recipe}}-{{scope}}.tsv"
    wildcard_constraints:
        recipe=NEURAL_RECIPE,
        scope="|".join(TASKS),
    threads: SETTINGS.training.threads
    resources:
        gpu=training_gpus,
    params:
        settings=fold_settings,
        mixtures=fold_mixtures,
        program=training_program,
        encoder=lambda wildcards, input: Path(input.encoder[0]).parent,
    message:
        "Training the folds of {wildcards.recipe} for {wildcards.scope}, every seed"
    shell:
        "{params.program} train-folds --cell {wildcards.recipe}/{wildcards.scope}"
        " --mixtures {params.mixtures} --settings {params.settings:q} --prepared data/prepared"
        " --encoder {params.encoder}"
        f" --results {RESULTS}"
        " --gpus {resources.gpu} --threads {threads} 2> {log}"


use rule folds as folds_joint with:
    output:
        expand(
            f"{RESULTS}/models/{{{{recipe}}}}/{{{{scope}}}}/seed{{seed}}-folds/card.json",
            seed=SEEDS,
        ),
        expand(
            f"{RESULTS}/logits/{{{{recipe}}}}/{{{{scope}}}}/seed{{seed}}-folds/{{task}}.{{end}}",
            seed=SEEDS,
            task=TASKS,
            end=["safetensors", "json"],
        ),
    wildcard_constraints:
        recipe=NEURAL_RECIPE,
        scope=recipes.ALL_TASKS,


rule folds_linear:
    input:
        data=fold_inputs,
        code=code("train_linear_folds"),
    output:
        expand(
            f"{RESULTS}/models/{{{{recipe}}}}/{{{{scope}}}}/seed{{seed}}-folds/card.json",
            seed=SEEDS[:1],
        ),
        expand(
            f"{RESULTS}/logits/{{{{recipe}}}}/{{{{scope}}}}/seed{{seed}}-folds/{{{{scope}}}}.{{end}}",
            seed=SEEDS[:1],
            end=["safetensors", "json"],
        ),
    log:
        f"{LOGS}/folds/{{recipe}}-{{scope}}.log",
    benchmark:
        f"{BENCHMARKS}/folds/{{recipe}}-{{scope}}.tsv"
    wildcard_constraints:
        recipe=LINEAR_RECIPE,
    params:
        settings=fold_settings,
        mixtures=fold_mixtures,
    message:
        "Training the folds of {wildcards.recipe} for {wildcards.scope}"
    shell:
        "distilro train-linear-folds --cell {wildcards.recipe}/{wildcards.scope}"
        " --mixtures {params.mixtures} --settings {params.settings:q} --prepared data/prepared"
        f" --results {RESULTS}"
        " 2> {log}"
