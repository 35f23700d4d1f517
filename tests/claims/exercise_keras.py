"""The exercise's script as its user writes it, on Keras 3; `test_exercise_script.py` runs it."""

import math

import keras

# Where `tensorflow.keras.preprocessing.image` takes it from.
from keras._tf_keras.keras.preprocessing.image import ImageDataGenerator
from sklearn.model_selection import train_test_split

from peculiar import load_galaxy_data, visualize_activations

input_data, labels = load_galaxy_data()
print(input_data.shape)
print(labels.shape)

x_train, x_valid, y_train, y_valid = train_test_split(
    input_data, labels, test_size=0.20, stratify=labels, shuffle=True, random_state=222
)

data_generator = ImageDataGenerator(rescale=1.0 / 255)
training_iterator = data_generator.flow(x_train, y_train, batch_size=5)
validation_iterator = data_generator.flow(x_valid, y_valid, batch_size=5)

model = keras.Sequential()
model.add(keras.Input(shape=(128, 128, 3)))
model.add(keras.layers.Conv2D(8, 3, strides=2, activation="relu"))
model.add(keras.layers.MaxPooling2D(pool_size=(2, 2), strides=2))
model.add(keras.layers.Conv2D(8, 3, strides=2, activation="relu"))
model.add(keras.layers.MaxPooling2D(pool_size=(2, 2), strides=2))
model.add(keras.layers.Flatten())
model.add(keras.layers.Dense(16, activation="relu"))
model.add(keras.layers.Dense(4, activation="softmax"))
model.summary()

model.compile(
    optimizer=keras.optimizers.Adam(learning_rate=0.001),
    loss=keras.losses.CategoricalCrossentropy(),
    metrics=[keras.metrics.CategoricalAccuracy(), keras.metrics.AUC()],
)
model.fit(
    training_iterator,
    steps_per_epoch=math.ceil(len(x_train) / 5),
    epochs=2,
    validation_data=validation_iterator,
    validation_steps=math.ceil(len(x_valid) / 5),
)

visualize_activations(model, validation_iterator)
