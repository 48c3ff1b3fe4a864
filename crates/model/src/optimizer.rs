//! AdamW over flat tensors; its moments can be saved and restored.

use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};

use crate::host::to_host;
use crate::ops::{self, GptOps, Update};
use crate::{Error, GptConfig, ParameterShape};

/// AdamW's hyper-parameters (Loshchilov & Hutter 2019), without the learning rate, which a schedule gives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamW {
    /// Decay rate of the first moment.
    pub beta1: f64,
    /// Decay rate of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Decoupled weight decay of matrices and embeddings.
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

/// The optimizer's state on a device.
pub(crate) struct Optimizer<B: Backend> {
    adamw: AdamW,
    decays: Vec<bool>,
    /// A pair per parameter.
    moments: Vec<[Tensor<B, 1>; 2]>,
}

/// The arguments of one update beside the gradients.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    pub(crate) learning_rate: f64,
    /// The factor by which clipping scales the gradients.
    pub(crate) clip: f64,
    /// Steps done, this one included.
    pub(crate) steps: u32,
}

impl<B: GptOps> Optimizer<B> {
    /// An optimizer of a model, with moments of zero or with saved ones.
    ///
    /// # Errors
    /// [`Error::Weights`] if the saved moments do not match the model's parameters.
    pub(crate) fn new(
        adamw: AdamW,
        config: &GptConfig,
        saved: Option<Vec<Moments>>,
        device: &B::Device,
    ) -> Result<Self, Error> {
        let parameters = config.parameters();
        let moments = match saved {
            None => {
                let zeros = |parameter: &ParameterShape| [(); 2].map(|()| Tensor::zeros([parameter.len()], device));
                parameters.iter().map(zeros).collect()
            }
            Some(saved) => {
                let lengths = saved.iter().map(|moments| [moments.first.len(), moments.second.len()]);
                if !lengths.eq(parameters.iter().map(|parameter| [parameter.len(); 2])) {
                    return Err(Error::Weights("the saved moments are not those of the model's parameters".to_owned()));
                }
                let tensor = |values: Vec<f32>| {
                    let count = values.len();
                    Tensor::from_data(TensorData::new(values, [count]), device)
                };
                saved.into_iter().map(|moments| [tensor(moments.first), tensor(moments.second)]).collect()
            }
        };
        Ok(Self { adamw, decays: parameters.iter().map(ParameterShape::decays).collect(), moments })
    }

    /// The updated parameters, one gradient each.
    pub(crate) fn update(
        &mut self,
        parameters: Vec<Tensor<B, 1>>,
        gradients: Vec<Tensor<B, 1>>,
        Schedule { learning_rate, clip, steps }: Schedule,
    ) -> Vec<Tensor<B, 1>> {
        let AdamW { beta1, beta2, epsilon, weight_decay } = self.adamw;
        let exponent = f64::from(steps);
        let (correction1, correction2) = (1.0 - beta1.powf(exponent), 1.0 - beta2.powf(exponent));
        let (step, root_scale) = (learning_rate / correction1, 1.0 / correction2.sqrt());
        // By value: a tensor without another owner is updated in place.
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
            first: to_host(first.clone()),
            second: to_host(second.clone()),
        };
        self.moments.iter().map(host).collect()
    }
}
