//! AdamW over flat tensors, with its moments at hand for saving.

use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};

use crate::ops::{self, GptOps, Update};
use crate::{GptConfig, gpt};

/// AdamW's constants (Loshchilov & Hutter 2019), without the learning rate, which a schedule gives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamW {
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Decay of matrices and embeddings, decoupled from the gradient.
    pub weight_decay: f64,
}

/// The moments of one parameter on the host, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Moments {
    /// Running mean of the gradient.
    pub first: Vec<f32>,
    /// Running mean of its square.
    pub second: Vec<f32>,
}

/// The moments on a device, one pair a parameter.
pub(crate) struct Optimizer<B: Backend> {
    adamw: AdamW,
    decays: Vec<bool>,
    moments: Vec<[Tensor<B, 1>; 2]>,
}

impl<B: GptOps> Optimizer<B> {
    /// An optimizer of a model, with moments of zero or with saved ones.
    pub(crate) fn new(adamw: AdamW, config: &GptConfig, saved: Option<&[Moments]>, device: &B::Device) -> Self {
        let parameters = config.parameters();
        let moments = match saved {
            None => {
                let zeros =
                    |parameter: &crate::ParameterShape| [(); 2].map(|()| Tensor::zeros([parameter.len()], device));
                parameters.iter().map(zeros).collect()
            }
            Some(saved) => {
                let tensor =
                    |values: &Vec<f32>| Tensor::from_data(TensorData::new(values.clone(), [values.len()]), device);
                saved.iter().map(|moments| [tensor(&moments.first), tensor(&moments.second)]).collect()
            }
        };
        Self { adamw, decays: parameters.iter().map(crate::ParameterShape::decays).collect(), moments }
    }

    /// The updated parameters, from gradients that are still to be multiplied by `clip`; `updates` counts this one too.
    pub(crate) fn update(
        &mut self,
        parameters: Vec<Tensor<B, 1>>,
        gradients: Vec<Tensor<B, 1>>,
        clip: f64,
        learning_rate: f64,
        updates: u32,
    ) -> Vec<Tensor<B, 1>> {
        let AdamW { beta1, beta2, epsilon, weight_decay } = self.adamw;
        let exponent = f64::from(updates);
        let (correction1, correction2) = (1.0 - beta1.powf(exponent), 1.0 - beta2.powf(exponent));
        let (step, root_scale) = (learning_rate / correction1, 1.0 / correction2.sqrt());
        // Handed over and not lent: whoever alone holds a tensor updates it in place.
        let moments = std::mem::take(&mut self.moments);
        let all = parameters.into_iter().zip(gradients).zip(moments).zip(&self.decays);
        let updated = all.map(|(((parameter, gradient), moments), &decays)| {
            let keep = if decays { 1.0 - learning_rate * weight_decay } else { 1.0 };
            let update = Update { beta1, beta2, epsilon, clip, keep, step, root_scale };
            ops::adamw(parameter, gradient, moments, update)
        });
        let (parameters, moments) = updated.unzip();
        self.moments = moments;
        parameters
    }

    /// The moments on the host.
    pub(crate) fn moments(&self) -> Vec<Moments> {
        let host = |[first, second]: &[Tensor<B, 1>; 2]| Moments {
            first: gpt::to_host(first.clone()),
            second: gpt::to_host(second.clone()),
        };
        self.moments.iter().map(host).collect()
    }
}
