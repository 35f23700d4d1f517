"""Run the exercise as its tf.keras script with `ImageDataGenerator`, and print its figures as JSON on the last line.

Called by `bench_train.py` in a separate environment.
"""

import json
import sys
import time

started = time.perf_counter()

import numpy as np
import tensorflow as tf
from sklearn.model_selection import train_test_split
from tensorflow.keras.preprocessing.image import ImageDataGenerator

imported = time.perf_counter()
epochs, seed = int(sys.argv[2]), int(sys.argv[3])
tf.keras.utils.set_random_seed(seed)
with np.load(sys.argv[1]) as file:
    data, labels = file["data"], file["labels"]
x_train, x_valid, y_train, y_valid = train_test_split(
    data, labels, test_size=0.20, stratify=labels, shuffle=True, random_state=222
)
generator = ImageDataGenerator(rescale=1.0 / 255)
training = generator.flow(x_train, y_train, batch_size=5)
validation = generator.flow(x_valid, y_valid, batch_size=5)
model = tf.keras.Sequential(
    [
        tf.keras.Input(shape=(128, 128, 3)),
        tf.keras.layers.Conv2D(8, 3, strides=2, activation="relu"),
        tf.keras.layers.MaxPooling2D(pool_size=(2, 2), strides=2),
        tf.keras.layers.Conv2D(8, 3, strides=2, activation="relu"),
        tf.keras.layers.MaxPooling2D(pool_size=(2, 2), strides=2),
        tf.keras.layers.Flatten(),
        tf.keras.layers.Dense(16, activation="relu"),
        tf.keras.layers.Dense(4, activation="softmax"),
    ]
)
model.compile(
    optimizer=tf.keras.optimizers.Adam(learning_rate=0.001),
    loss=tf.keras.losses.CategoricalCrossentropy(),
    metrics=[tf.keras.metrics.CategoricalAccuracy(), tf.keras.metrics.AUC()],
)
ready = time.perf_counter()
history = model.fit(
    training,
    # The exercise's len(x_train) / 5 is a float, which current Keras refuses.
    steps_per_epoch=len(x_train) // 5,
    epochs=epochs,
    validation_data=validation,
    validation_steps=len(x_valid) // 5,
    verbose=0,
).history
done = time.perf_counter()
auc = next(name for name in history if name.startswith("val_auc"))
print(
    json.dumps(
        {
            "import_s": imported - started,
            "training_s": done - ready,
            "total_s": done - started,
            "val_accuracy": history["val_categorical_accuracy"][-1],
            "val_auc": history[auc][-1],
            "version": f"tensorflow {tf.__version__}, keras {tf.keras.__version__}",
        }
    )
)
