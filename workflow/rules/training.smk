"""Phase training: teachers, their logits, students.

REQUIRES  results/<scenario>/{mixtures,encoders}, data/prepared/<Romanian dataset>/valid.parquet
MAKES     results/<scenario>/models/<recipe>/<scope>/seed<k>/{model.safetensors,config.json,...,card.json}
          results/<scenario>/logits/<recipe>/<scope>/seed<k>/<task>-<mixture>.{safetensors,json}

A teacher is any trained model that a recipe names; its logits on a mixture are stored once.
"""

SEEDS = SETTINGS.training.seeds
LINEAR = [name for name, recipe in SETTINGS.recipes.items() if recipe.kind == "linear"]
NEURAL = [name for name in SETTINGS.recipes if name not in LINEAR]
MODEL_FILES = [*ENCODER_FILES, "card.json"]


def seeds_of(recipe):
    return recipes.list_seeds(SETTINGS.recipes[recipe], SETTINGS)


def model_files(recipe, scope):
    """Name every file of a cell's models."""
    files = LINEAR_FILES if recipe in LINEAR else MODEL_FILES
    folder = f"{RESULTS}/models/{recipe}/{scope}"
    return [f"{folder}/seed{seed}/{file}" for seed in seeds_of(recipe) for file in files]


def logits_files(recipe, scope, mixture):
    """Name the stored logits of a teacher cell on one mixture, every seed."""
    folder = f"{RESULTS}/logits/{recipe}/{scope}"
    stem = f"{mixture.task}-{mixture.name}"
    return [f"{folder}/seed{s}/{stem}.{end}" for s in seeds_of(recipe) for end in ("safetensors", "json")]


def training_inputs(wildcards):
    """Name the mixtures, validation rows, teachers and teacher logits of a cell."""
    cell = recipes.Cell(wildcards.recipe, wildcards.scope)
    mixtures = recipes.list_mixtures(cell, SETTINGS)
    taught = recipes.list_teacher_logits(cell, SETTINGS)
    tasks = recipes.list_tasks(wildcards.scope, SETTINGS)
    files = [f"{RESULTS}/mixtures/{m.task}/{m.name}.parquet" for m in mixtures]
    files += [f"data/prepared/{SETTINGS.data.tasks[t].ro}/valid.parquet" for t in tasks]
    files += [f for t, m in taught for f in logits_files(t.recipe, t.scope, m)]
    return files + [f for t, _ in taught for f in model_files(t.recipe, t.scope)]


def training_settings(wildcards):
    """Return what one cell's training depends on, as JSON."""
    return as_json(
        recipes.describe_training(recipes.Cell(wildcards.recipe, wildcards.scope), SETTINGS)
    )


rule training:
    input:
        [file for cell in CELLS for file in model_files(cell.recipe, cell.scope)],
        [
            file
            for cell in CELLS
            for mixture in recipes.list_logits_of(cell, SETTINGS)
            for file in logits_files(cell.recipe, cell.scope, mixture)
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
    wildcard_constraints:
        recipe="|".join(LINEAR) or "(?!)",
    log:
        f"{LOGS}/train/{{recipe}}-{{scope}}.log",
    benchmark:
        f"{BENCHMARKS}/train/{{recipe}}-{{scope}}.tsv"
    message:
        "Training {wildcards.recipe} for {wildcards.scope}"
    params:
        settings=training_settings,
        results=RESULTS,
    shell:
        "distilro train-linear --cell {wildcards.recipe}/{wildcards.scope}"
        " --settings {params.settings:q} --results {params.results} 2> {log}"


rule train:
    input:
        data=training_inputs,
        encoder=rules.encoders.input,
        code=code("train"),
    output:
        expand(
            f"{RESULTS}/models/{{{{recipe}}}}/{{{{scope}}}}/seed{{seed}}/{{file}}",
            seed=SEEDS,
            file=MODEL_FILES,
        ),
    wildcard_constraints:
        recipe="|".join(NEURAL) or "(?!)",
    log:
        f"{LOGS}/train/{{recipe}}-{{scope}}.log",
    benchmark:
        f"{BENCHMARKS}/train/{{recipe}}-{{scope}}.tsv"
    message:
        "Training {wildcards.recipe} for {wildcards.scope}, every seed"
    threads: 8
    resources:
        gpu=1,
    params:
        settings=training_settings,
        results=RESULTS,
        encoder=ENCODER,
    shell:
        "distilro train --cell {wildcards.recipe}/{wildcards.scope}"
        " --settings {params.settings:q} --encoder {params.encoder} --prepared data/prepared"
        " --results {params.results} --gpus {resources.gpu} --threads {threads} 2> {log}"


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
    wildcard_constraints:
        recipe="|".join(NEURAL) or "(?!)",
    log:
        f"{LOGS}/logits/{{recipe}}-{{scope}}-{{task}}-{{mixture}}.log",
    benchmark:
        f"{BENCHMARKS}/logits/{{recipe}}-{{scope}}-{{task}}-{{mixture}}.tsv"
    message:
        "Storing the logits of {wildcards.recipe}/{wildcards.scope} on {wildcards.task}-{wildcards.mixture}"
    threads: 8
    resources:
        gpu=1,
    params:
        seeds=" ".join(map(str, SEEDS)),
        results=RESULTS,
    shell:
        "distilro logits --cell {wildcards.recipe}/{wildcards.scope} --task {wildcards.task}"
        " --mixture {input.mixture} --seeds {params.seeds} --results {params.results}"
        " --gpus {resources.gpu} --threads {threads} 2> {log}"


use rule logits as logits_linear with:
    output:
        expand(
            f"{RESULTS}/logits/{{{{recipe}}}}/{{{{scope}}}}/seed{{seed}}/{{{{task}}}}-{{{{mixture}}}}.{{end}}",
            seed=SEEDS[:1],
            end=["safetensors", "json"],
        ),
    wildcard_constraints:
        recipe="|".join(LINEAR) or "(?!)",
    threads: 1
    resources:
        gpu=0,
    params:
        seeds=SEEDS[0],
        results=RESULTS,
